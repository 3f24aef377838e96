"""The format of hostile requests: each is a row of the tables in this folder. Add rows as you need them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from components.core.names import Api
from tests.support.raw_client import Answer
from tests.support.token_variants import Forgery

LABELS: Mapping[Api, str] = {"cortex": "/api/v1/labels", "loki": "/loki/api/v1/labels"}
ARRIVES: Answer = (200, "the answer to the same request with a good token")
BAD: Answer = (401, "bad authentication token")
FORM: Answer = (401, "Authorization header format invalid. Expecting 'Bearer <AUTHTOKEN>'")
MISSING: Answer = (401, "Authorization header missing or invalid")
NO_TENANT: Answer = (404, "no such tenant")
NOT_OPEN: Answer = (404, "this path is not open")
NO_ALERTMANAGER: Answer = (404, "this tenant has no Alertmanager")  # no other path gets this answer
BAD_REQUEST: Answer = (400, "Bad Request")


def refused(reason: str) -> Answer:
    """Return the 401 answer with a reason."""
    return 401, f"bad authentication token: {reason}"


@dataclass(frozen=True)
class Case:
    """A request by HTTP/1.1 to the tenant `default`; the defaults are those of a good request.

    Without `target`, the path is LABELS of the API. `headers` are lines. `raw` holds all bytes of the request, in
    parts that are sent one after the other; beside it only `token` counts.

    Words in `headers`, `target`, `host` and `raw` are replaced. TOKEN becomes the token of `token`, GOOD a good token,
    and BASIC the good token as a password in base64. BASIC_LINE and BASIC_HEADER have a line break and a header behind
    the password. HOST becomes the right host, DOMAIN the instance's domain.

    `answers` are all answers until the connection ends or is quiet. For each ARRIVES among them, one request must
    reach the back ends of `default`; none may reach another tenant's. Up to `perhaps` more may arrive: good
    requests in which the gateway finds an error after it has begun to forward them.
    """

    name: str
    answers: Answer | Sequence[Answer]
    token: Forgery = field(default_factory=Forgery)
    headers: Sequence[str] = ("Authorization: Bearer TOKEN",)
    method: str = "GET"
    target: str = ""
    host: str = "HOST"
    api: Api = "cortex"
    body: str = ""
    raw: Sequence[str] = ()
    perhaps: int = 0


@dataclass(frozen=True)
class Http2:
    """A request by HTTP/2. `fields` replace those of a good request by name, or are added; None removes one."""

    name: str
    fields: Sequence[tuple[str, str | None]] = ()
    token: Forgery = field(default_factory=Forgery)
    api: Api = "cortex"
    body: str = ""
    answers: Answer = BAD_REQUEST
    perhaps: int = 0


Row = Case | Http2
