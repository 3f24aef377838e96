"""What a hostile request is: a row of the tables beside this file, to which anybody can add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from components.names import Api
from tests.security.forge import Forgery
from tests.security.wire import Answer

LABELS: Mapping[Api, str] = {"cortex": "/api/v1/labels", "loki": "/loki/api/v1/labels"}
ARRIVES: Answer = (200, "what the same question with a plain good token is answered")
BAD: Answer = (401, "bad authentication token")
FORM: Answer = (401, "Authorization header format invalid. Expecting 'Bearer <AUTHTOKEN>'")
MISSING: Answer = (401, "Authorization header missing or invalid")
NO_TENANT: Answer = (404, "no such tenant")
NO_ALERTMANAGER: Answer = (404, "this tenant has no Alertmanager")  # so it is asked for alone
BAD_REQUEST: Answer = (400, "Bad Request")


def refused(reason: str) -> Answer:
    """Return the 401 with a reason."""
    return 401, f"bad authentication token: {reason}"


@dataclass(frozen=True)
class Case:
    """A request by HTTP/1.1, to the tenant `default`; what is not said is as in a good one.

    Without `target` it is LABELS of the API. In `headers` (lines), `target`, `host` and `raw`, TOKEN stands for the token of
    `token`, GOOD for a plain good one, BASIC for that as a password in base64, HOST for the right host, DOMAIN for the
    instance's. `raw`: all bytes of the request, in parts that are sent one after the other; then only `token` counts beside
    it. `answers`: all that come until the connection ends or is quiet. As many requests as ARRIVES is among them reach the
    back ends of `default`, and none those of another tenant; `perhaps` so many more: good ones that are found broken when
    the gateway has begun to pass them on.
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
    """A request by HTTP/2. `fields` go behind or, by their names, in the place of those of a good one; None leaves one out."""

    name: str
    answers: Answer
    fields: Sequence[tuple[str, str | None]] = ()
    token: Forgery = field(default_factory=Forgery)
    api: Api = "cortex"
    body: str = ""
    perhaps: int = 0


Row = Case | Http2
