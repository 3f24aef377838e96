"""Every request of Grafana's data sources and alerting pages, through the real Envoy to the real back ends."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from components.core.scopes import SCOPES
from tests.support import remote_write
from tests.support.backend import Backend
from tests.support.gateway import BAD, Gateway, signed
from tests.support.grafana_requests import (
    CLOSED,
    LINE,
    METRICS,
    OTHER,
    OTHER_LINE,
    OWN,
    REMOTE_WRITE,
    SOURCES,
    Program,
    Request,
)
from tests.support.polling import eventually
from tests.support.shell import ROOT

SETTINGS: dict[Program, dict[str, Any]] = {
    "cortex": {},
    "loki": {},
    "alertmanager": {"alertmanager": {"enabled": True}},
}
CONNECT = (ROOT / "docs" / "how-to" / "connect-clients.md").read_text()


@pytest.fixture(params=[*SOURCES])
def program(request: pytest.FixtureRequest) -> Program:
    name: Program = request.param
    return name


@pytest.fixture
def opened(gateway: Gateway, backend: Callable[..., Backend], program: Program) -> Gateway:
    """Return a running gateway before a running back end, which has data of two tenants."""
    running = backend(program, SETTINGS[program])
    running.start()
    gateway.back_end.port = running.port
    gateway.set_keys()
    gateway.start()
    for tenant, series, line in (("default", OWN, LINE), ("other", OTHER, OTHER_LINE)):
        _fill(gateway, program, tenant, series, line)
    return gateway


def _fill(gateway: Gateway, program: Program, tenant: str, series: str, line: str) -> None:
    """Write a series or a line of a tenant, and wait until it is found."""
    now = time.time_ns()
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "billing"}}]}
    if program == "cortex":
        point = {"timeUnixNano": str(now), "asInt": "7"}
        total = {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True}
        metrics = [{"name": series.removesuffix("_total"), "sum": total}]
        sent = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}
        write, read = "/api/v1/otlp/v1/metrics", f"/api/v1/query?query={series}"
    elif program == "loki":
        records = [  # enough of them for a pattern
            {"timeUnixNano": str(now + number), "body": {"stringValue": f"{line} order={number}"}}
            for number in range(100)
        ]
        sent = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
        write, read = "/otlp/v1/logs", '/loki/api/v1/query_range?query={service_name="billing"}'
    else:
        return
    token, host = signed(tenant=tenant), _host(program, tenant)
    headers: dict[str, Any] = host | {"Content-Type": "application/json"}
    assert gateway.ask(token, write, "POST", body=json.dumps(sent).encode(), **headers)[0] in (200, 204)
    wanted = series if program == "cortex" else line
    eventually(lambda: wanted in gateway.ask(token, read.replace('"', "%22"), Host=host["Host"])[1], 60)


def _host(program: Program, tenant: str = "default") -> dict[str, str]:
    return {"Host": f"{'loki' if program == 'loki' else 'cortex'}.{tenant}.showdown.example.com"}


class Walk:
    """Sends requests as Grafana does, one after the other."""

    def __init__(self, gateway: Gateway, program: Program, base: str) -> None:
        self._gateway, self._program, self._base = gateway, program, base
        self._silence = ""
        now = time.time()
        self._times = {"TIME": f"{now:.0f}", "START": f"{now - 600:.0f}", "END": f"{now + 60:.0f}"}

    def ask(self, request: Request, token: str) -> tuple[int, str]:
        """Send a request with times and a silence in their places."""
        path, body = request.path.replace("silence/ID", f"silence/{self._silence}"), request.body
        for name, value in self._times.items():
            text = datetime.fromtimestamp(float(value), UTC).isoformat() if "startsAt" in body else value
            path, body = path.replace(f"={name}", f"={value}"), body.replace(f"={name}", f"={value}")
            body = body.replace(f'"{name}"', f'"{text}"')
        headers = _host(self._program) | ({"Content-Type": request.kind} if request.kind else {})
        sent = body.encode()
        if request.kind == REMOTE_WRITE:
            headers |= remote_write.HEADERS
            sent = remote_write.request(({"__name__": body}, [(float(self._times["TIME"]) - 1, 1)]))
        answer = self._gateway.ask(token, self._base + path, request.method, body=sent, **headers)
        self._silence = json.loads(answer[1])["silenceID"] if "silenceID" in answer[1] else self._silence
        return answer

    def check(self, request: Request) -> None:
        """Send a request with each scope, and compare the answers."""
        name = f"{request.method} {self._base}{request.path} ({request.source})"
        if not request.scope:
            for scope in SCOPES:
                assert self.ask(request, signed(scopes=(scope,))) == CLOSED, (name, scope)
            return
        others = tuple(scope for scope in SCOPES if scope != request.scope)
        assert self.ask(request, signed(scopes=others)) == (401, f"{BAD}: scope does not cover {request.scope}"), name
        token = signed(scopes=(request.scope,))
        status, text = self.ask(request, token)
        if request.method == "GET":  # a back end finds a little later what was written

            def is_answered() -> bool:
                nonlocal status, text
                status, text = self.ask(request, token)
                return status == request.status and bool(re.search(request.has, text, re.DOTALL))

            eventually(is_answered, 30, detail=lambda: (name, status, text))
        assert status == request.status, (name, status, text)
        assert re.search(request.has, text, re.DOTALL), (name, text)
        assert OTHER not in text and OTHER_LINE not in text, (name, text)


def test_each_request_of_grafana_works_or_is_refused_plainly(opened: Gateway, program: Program) -> None:
    base, requests = SOURCES[program]
    walk = Walk(opened, program, base)
    for request in requests:
        walk.check(request)


@pytest.mark.parametrize("program", ["cortex"], indirect=True)
@pytest.mark.parametrize("base", ["", "/prometheus"])
def test_queries_work_at_the_other_ends_of_the_url_too(opened: Gateway, base: str) -> None:
    walk = Walk(opened, "cortex", base)
    for request in METRICS:
        walk.check(request)


def test_the_page_on_clients_has_the_urls_and_what_is_refused() -> None:
    refused = {
        (program, request.path.split("?")[0])
        for program, (_, requests) in SOURCES.items()
        for request in requests
        if not request.scope
    }
    assert SOURCES["cortex"][0] in CONNECT
    missing = [path for _, path in sorted(refused) if f"`{path}`" not in CONNECT]
    assert missing == []
