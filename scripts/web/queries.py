"""Queries of tenants' Cortex and Loki through the gateway. Their tokens are made here, and never leave this process."""

from __future__ import annotations

import json
import math
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import anyio
import anyio.to_thread

from components.core.errors import UserError
from components.core.names import Api, api_url, instance_domain
from scripts.tokens.parse import read_token
from scripts.tokens.signing import Grant, Signer
from scripts.tokens.verify import refusals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.core.scopes import Scope
    from scripts.web.subject import Subject

TOKEN_SECONDS = 600
RENEWED_SECONDS = 120  # before its end, a token is replaced: clocks differ, and a query takes a while
QUERY_SECONDS = 15.0
MOST_BYTES = 16 << 20  # of an answer
MOST_AT_ONCE = 8  # queries of browsers; others wait
MOST_CHARACTERS = 300  # of a back end's error
OK = 200
SCOPES: Mapping[Api, tuple[Scope, ...]] = {"cortex": ("metrics:read",), "loki": ("logs:read",)}
PROGRAMS: Mapping[Api, str] = {"cortex": "Cortex", "loki": "Loki"}
WITHOUT_KEY = (
    "Data of tenants is off, because this page has no key to make tokens with. End `./opstrace ui`, and start it again "
    "with `--key KEYPAIR_FILE`. The file has a key pair whose public key the instance trusts."
)


class QueryError(UserError):
    """Why a query has no answer, in one sentence for the page."""


@dataclass(frozen=True)
class Series:
    """A series: its labels, and its points in the order of time, as seconds since the epoch and value (NaN too)."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Line:
    """A line of a log: its time in nanoseconds since the epoch, its text, and the labels of its stream."""

    nanoseconds: int
    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """The answer to a query: `series` of PromQL and of LogQL that counts, or `lines` of a log, the newest first.

    `warnings` are those of the back end.
    """

    series: tuple[Series, ...] = ()
    lines: tuple[Line, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Held:
    """A token and its end, in seconds since the epoch."""

    token: str = field(repr=False)
    expires: float


class Queries:
    """Answers queries of all tenants of an instance. Threads may share it.

    The coroutines are for views; `ask` is for threads. Each raises `QueryError`, also where there is no key.

    Args:
        subject: The instance.
        signer: Signs the tokens; None without a key.
    """

    def __init__(self, subject: Subject, signer: Signer | None) -> None:
        self._subject, self._signer = subject, signer
        self._lock = threading.Lock()
        self._held: dict[tuple[str, Api], _Held] = {}
        self._at_once = anyio.CapacityLimiter(MOST_AT_ONCE)

    def why_off(self) -> str | None:
        """Return why no query is answered; None where queries are sent. An instance without authentication needs no key."""
        if self._signer is None and self._subject.config().data_api.authentication:
            return WITHOUT_KEY
        return None

    async def instant(self, tenant: str, promql: str, at: float | None = None) -> Answer:
        """Return the answer to PromQL at a time, in seconds since the epoch; None for now."""
        return await self._queried(tenant, "cortex", "/api/v1/query", _with_time({"query": promql}, at))

    async def ranged(self, tenant: str, promql: str, start: float, end: float, step: float) -> Answer:
        """Return the answer to PromQL between two times, in seconds since the epoch, every `step` seconds."""
        query = {"query": promql, "start": start, "end": end, "step": step}
        return await self._queried(tenant, "cortex", "/api/v1/query_range", query)

    async def logs(self, tenant: str, logql: str, start: float, end: float, limit: int = 100) -> Answer:
        """Return the newest `limit` lines that LogQL finds between two times, in seconds since the epoch."""
        return await self.found_in_logs(tenant, logql, start, end, {"limit": limit, "direction": "backward"})

    async def ranged_logs(self, tenant: str, logql: str, start: float, end: float, step: float) -> Answer:
        """Return the series of LogQL that counts between two times, in seconds since the epoch, every `step` seconds."""
        return await self.found_in_logs(tenant, logql, start, end, {"step": step})

    async def found_in_logs(
        self, tenant: str, logql: str, start: float, end: float, bounds: Mapping[str, object]
    ) -> Answer:
        """Return lines, or series for LogQL that counts; `bounds` are Loki's `limit` and `direction` of lines, `step` of series."""
        query = {"query": logql, "start": _nanoseconds(start), "end": _nanoseconds(end), **bounds}
        return await self._queried(tenant, "loki", "/loki/api/v1/query_range", query)

    async def counted(self, tenant: str, logql: str, at: float | None = None) -> Answer:
        """Return the answer to LogQL that counts, such as `sum(count_over_time({a="b"}[1h]))`, at a time; None for now."""
        nanoseconds = None if at is None else _nanoseconds(at)
        return await self._queried(tenant, "loki", "/loki/api/v1/query", _with_time({"query": logql}, nanoseconds))

    async def read(self, tenant: str, api: Api, path: str, query: Mapping[str, object] | None = None) -> Any:
        """Return `data` of the answer to a GET of another path, such as `/api/v1/labels`; lists in `query` are repeated."""
        asking = partial(self.ask, tenant, api, path, query or {})
        document = await anyio.to_thread.run_sync(asking, limiter=self._at_once)
        return document.get("data")

    async def _queried(self, tenant: str, api: Api, path: str, query: Mapping[str, object]) -> Answer:
        asking = partial(self.ask, tenant, api, path, query)
        return answer_in(await anyio.to_thread.run_sync(asking, limiter=self._at_once))

    def ask(self, tenant: str, api: Api, path: str, query: Mapping[str, object]) -> Any:
        """Return the JSON object that a GET of a path of a tenant's API answers. It waits for the answer."""
        if off := self.why_off():
            raise QueryError(off)
        if tenant not in self._subject.settings():  # its name becomes part of a host name
            raise QueryError(f"There is no tenant {tenant!r}.")
        config, context = self._subject.config(), self._subject.context
        domain = instance_domain(self._subject.instance, config.domain)
        url = f"{api_url(api, tenant, domain, config.load_balancer.port)}{path}"
        if query:
            url += f"?{urlencode(query, doseq=True)}"
        provider = context.provider(self._subject.provider_name)
        client = context.gateway_client(provider.ca_file, self._token(tenant, api), QUERY_SECONDS)
        try:
            status, text = client.get(url, most_bytes=MOST_BYTES)
        except UserError as error:
            raise QueryError(str(error)) from error
        return _document(status, text, f"{PROGRAMS[api]} of {tenant}")

    def _token(self, tenant: str, api: Api) -> str | None:
        """Return a token that may only read, renewed before its end; raises `QueryError` where the gateway would refuse it."""
        if self._signer is None:
            return None
        now = time.time()
        with self._lock:
            held = self._held.get((tenant, api))
            if held is None or held.expires - now < RENEWED_SECONDS:
                grant = Grant(
                    instance=self._subject.instance,
                    tenant=tenant,
                    seconds=TOKEN_SECONDS,
                    scopes=SCOPES[api],
                    id=f"page-{uuid.uuid4()}",  # by it, the access log tells queries of pages from others
                )
                held = _Held(self._signer.token(grant), grant.expires)
                self._held[tenant, api] = held
        if refused := refusals(
            read_token(held.token), self._subject.config(), self._subject.instance, now, self._subject.own_stacks()
        ):
            raise QueryError(f"The gateway refuses tokens of the page's key: {'; '.join(refused)}.")
        return held.token


def _with_time(query: dict[str, object], at: float | None) -> dict[str, object]:
    return query if at is None else query | {"time": at}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1000) * 1_000_000


def _document(status: int, text: str, who: str) -> Any:
    """Return the JSON object in an answer; raises `QueryError` for an error, and for an answer of another form."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if status != OK:
        told = document.get("error") or document.get("message") if isinstance(document, dict) else text
        raise QueryError(f"{who} answers {status}: {_line(str(told)) or 'without a reason'}")
    if not isinstance(document, dict):
        raise QueryError(f"{who} answers without JSON")
    return document


def _line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= MOST_CHARACTERS else f"{words[:MOST_CHARACTERS]}…"


def answer_in(document: Any) -> Answer:
    """Return the answer in a document of the query APIs; raises `QueryError` for one of another form."""
    try:
        kind, result = document["data"]["resultType"], document["data"]["result"]
        warnings = tuple(map(str, document.get("warnings") or ()))
        if kind == "streams":
            lines = [_lines(stream) for stream in result]
            newest = sorted((line for stream in lines for line in stream), key=lambda line: -line.nanoseconds)
            return Answer(lines=tuple(newest), warnings=warnings)
        if kind == "scalar":
            result = [{"metric": {}, "value": result}]
        if kind not in ("scalar", "vector", "matrix"):
            raise QueryError(f"The answer is a {kind}, which this page does not show.")
        return Answer(tuple(map(_series, result)), warnings=warnings)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise QueryError("The answer does not have the form of the query API.") from error


def _series(result: Mapping[str, Any]) -> Series:
    values = result["values"] if "values" in result else [result["value"]] if "value" in result else []
    return Series(dict(result["metric"]), tuple((float(at), _number(value)) for at, value in values))


def _number(text: str) -> float:
    try:
        return float(text)  # also of `+Inf` and `NaN`
    except ValueError:
        return math.nan


def _lines(stream: Mapping[str, Any]) -> list[Line]:
    return [Line(int(at), str(text), dict(stream["stream"])) for at, text, *_ in stream["values"]]
