"""The APIs of tenants for tests of the page: a client of the gateway that gives recorded answers."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt


@dataclass(frozen=True)
class Asked:
    """A request to a tenant's API: its host, path and query, and the claims of its token."""

    host: str
    path: str
    query: dict[str, str]
    claims: dict[str, Any]


@dataclass
class TenantApis:
    """Answers requests by `answer`, which returns a status and JSON or text, and keeps them in `asked`.

    Its method `client` is what `FakeContext.gateway` takes.
    """

    answer: Callable[[Asked], tuple[int, Any]]
    asked: list[Asked] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)

    def client(self, token: str | None) -> "_Client":
        self.tokens.append(token)
        return _Client(self, token)


class _Client:
    def __init__(self, apis: TenantApis, token: str | None) -> None:
        self._apis, self._token = apis, token

    def get(self, url: str, *, most_bytes: int) -> tuple[int, str]:
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        claims = jwt.decode(self._token, options={"verify_signature": False}) if self._token else {}
        asked = Asked(parts.netloc, parts.path, query, claims)
        self._apis.asked.append(asked)
        status, body = self._apis.answer(asked)
        return status, body if isinstance(body, str) else json.dumps(body)


def matrix(*series: tuple[Mapping[str, str], Sequence[tuple[float, float]]]) -> dict[str, Any]:
    """Return the answer of Cortex to a range query."""
    result = [{"metric": labels, "values": [[at, str(value)] for at, value in points]} for labels, points in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def vector(*series: tuple[Mapping[str, str], float], at: float = 1_796_040_000.0) -> dict[str, Any]:
    """Return the answer of Cortex or Loki to an instant query."""
    result = [{"metric": labels, "value": [at, str(value)]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def streams(*found: tuple[Mapping[str, str], Sequence[tuple[int, str]]]) -> dict[str, Any]:
    """Return the answer of Loki to a query of lines, whose times are in nanoseconds since the epoch."""
    result = [{"stream": labels, "values": [[str(at), text] for at, text in lines]} for labels, lines in found]
    return {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}
