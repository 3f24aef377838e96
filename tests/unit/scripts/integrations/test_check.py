"""`integrations check`: data that arrives, and each place where it can stop."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import Result

from scripts.cli.integrations.check import check
from scripts.clients.gateway.reach import Obstacle
from scripts.integrations import check as service
from tests.support.contexts import FakeContext, invoke
from tests.unit.scripts.integrations.conftest import MakeToken

ID = "5f2c0c9e"


class Backends:
    """A tenant's back ends, and the gateway before them.

    `answers` has the gateway's answers to pushes by path. `data` has the numbers of series and lines that the client has
    sent. Probes are returned if `queryable`.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.data: dict[str, int] = {}
        self.queryable = True
        self.pushed: list[str] = []
        self.tokens: list[str] = []
        self.tenants: list[str] = []

    def __call__(self, token: str) -> "Backends":
        self.tokens.append(token)
        return self

    def request(self, method: str, url: str, body: str | None = None) -> tuple[int, str]:
        path = urlsplit(url).path
        if method == "GET":
            return 200, self._result(urlsplit(url).query)
        assert body and ID in body
        status, text = self.answers.get(path, (200, ""))
        if status < 300:
            self.pushed.append("metrics" if "otlp" in path else "logs")
        return status, text

    def get(self, *_: Any) -> dict[str, str]:
        return {"kind": "Namespace"}

    def ask(self, namespace: str, pod: str, port: int, path: str, headers: dict[str, str]) -> str:
        self.tenants.append(headers["X-Scope-OrgID"])
        assert namespace == f"{headers['X-Scope-OrgID']}-tenant"
        assert path.startswith({"cortex-0": "/prometheus/api/v1/query?", "loki-0": "/loki/api/v1/query_range?"}[pod])
        return self._result(urlsplit(path).query)

    def _result(self, encoded: str) -> str:
        (query,) = parse_qs(encoded)["query"]
        assert ID in query
        kind = "metrics" if query.startswith("count(") else "logs"
        is_probe = "!=" not in query
        if kind == "logs" and not is_probe and "|" not in query:
            found = 0  # the id is structured metadata of lines by OTLP
        else:
            found = int(self.queryable and kind in self.pushed) if is_probe else self.data.get(kind, 0)
        series = {"value": [0, str(found)], "values": [["0", "line"]] * found}
        return json.dumps({"data": {"result": [series] if found else []}})


@pytest.fixture
def backends(context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> Backends:
    monkeypatch.setattr(service, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(service, "PROBE_SECONDS", 0.05)
    made = Backends()
    context.gateway, context.test_cluster = made, made
    return made


@pytest.fixture
def call(context: FakeContext, backends: Backends) -> Callable[..., Result]:
    def run(*options: object, tenant: str = "payments") -> Result:
        return invoke(context, check, "aws", "showdown", tenant, "--id", ID, "--wait", "1", *options)

    return run


def errors(done: Result) -> list[str]:
    assert done.exit_code == 1, done.exception
    return [line for line in done.stdout.splitlines() if line.startswith("error")]


@pytest.mark.parametrize("scopes", [("metrics:write", "logs:write"), ()])
def test_data_of_the_client_makes_the_check_true(
    call: Callable[..., Result], backends: Backends, token: MakeToken, scopes: tuple[str, ...]
) -> None:
    backends.data = {"metrics": 12, "logs": 3}
    done = call("--token-file", token("payments", *scopes))
    assert done.exit_code == 0, done.output
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["gateway:", "push:", "push:", "query:", "data:"]
    assert done.stdout.splitlines()[-1].endswith("metrics: 12 series, logs: 3 lines of the last minutes")
    # A token that may not read leaves reading to the administrator's access to the cluster.
    assert {*backends.tenants} == ({"payments"} if scopes else set())


def test_a_token_sends_probes_of_what_it_may_write_alone(
    call: Callable[..., Result], backends: Backends, token: MakeToken
) -> None:
    backends.data = {"metrics": 1}
    assert call("--token-file", token("payments", "metrics:write")).exit_code == 0
    assert backends.pushed == ["metrics"]


def test_without_a_token_the_data_alone_is_awaited(call: Callable[..., Result], backends: Backends) -> None:
    backends.data = {"logs": 1}
    done = call()
    assert done.exit_code == 0 and backends.pushed == []


def test_data_that_must_arrive_is_awaited_by_kind(call: Callable[..., Result], backends: Backends) -> None:
    backends.data = {"logs": 1}
    assert call("--data", "logs").exit_code == 0
    (error,) = errors(call("--data", "logs", "--data", "metrics"))
    assert f"no metrics of {ID} arrived in 1 s" in error and "look for errors in its log" in error


def test_the_probe_is_no_data_of_the_client(call: Callable[..., Result], backends: Backends, token: MakeToken) -> None:
    (error,) = errors(call("--token-file", token("payments")))
    assert "data: no metrics or logs" in error and backends.pushed == ["metrics", "logs"]


@pytest.mark.parametrize("stage", ["DNS", "connection", "TLS", "host name"])
def test_a_host_that_is_not_reached_ends_the_check(
    context: FakeContext, call: Callable[..., Result], backends: Backends, token: MakeToken, stage: Any
) -> None:
    context.found_obstacle = Obstacle(stage, "the reason", "the remedy")
    done = call("--token-file", token("payments"))
    assert errors(done) == [f"error  {stage}: the reason; the remedy"] and backends.tokens == []


@pytest.mark.parametrize(
    ("changes", "scopes", "why"),
    [
        ({"issued": 1_600_000_000, "seconds": 60}, (), "it ended at 2020-"),
        ({}, ("logs:read",), "the token lacks metrics:write"),
        ({}, (), "the stack file accepts it, so the gateway has another state"),
    ],
)
def test_a_refused_token_is_explained(  # noqa: PLR0913, PLR0917 the cases are arguments
    call: Callable[..., Result],
    backends: Backends,
    token: MakeToken,
    changes: dict[str, Any],
    scopes: tuple[str, ...],
    why: str,
) -> None:
    backends.answers = {"/api/v1/otlp/v1/metrics": (401, "bad authentication token")}
    (error,) = errors(call("--token-file", token("payments", *scopes, **changes)))
    assert "answers 401: bad authentication token" in error and why in error


@pytest.mark.parametrize(
    ("status", "texts"), [(404, ["path:", "answers 404", "pulumi up"]), (503, ["push:", "answers 503: full"])]
)
def test_other_answers_to_the_probe_are_told(
    call: Callable[..., Result], backends: Backends, token: MakeToken, status: int, texts: list[str]
) -> None:
    backends.answers = {"/loki/api/v1/push": (status, "full")}
    (error,) = errors(call("--token-file", token("payments")))
    assert [text for text in texts if text not in error] == []


def test_an_accepted_probe_that_queries_do_not_return_is_told(
    call: Callable[..., Result], backends: Backends, token: MakeToken
) -> None:
    backends.queryable = False
    (error,) = errors(call("--token-file", token("payments")))
    assert "probe of metrics, logs was accepted, but queries do not return it" in error


def test_an_unknown_tenant_and_one_that_the_cluster_does_not_have_are_refused(
    call: Callable[..., Result], backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no tenant nobody" in str(call(tenant="nobody").exception)
    monkeypatch.setattr(backends, "get", lambda *_: None)
    assert "no namespace payments-tenant" in str(call().exception)


def test_a_ca_file_without_a_certificate_is_refused(call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for file, why in ((tmp_path / "bad.pem", "no certificate in PEM form"), (tmp_path / "gone", "check the path")):
        assert why in str(call("--ca-file", file).exception)


def test_json_has_the_findings_up_to_the_first_error(call: Callable[..., Result], token: MakeToken) -> None:
    done = call("--token-file", token("payments"), "--json")
    found = json.loads(done.stdout)
    assert [one["level"] for one in found] == ["ok", "ok", "ok", "ok", "error"] and done.exit_code == 1


def test_no_token_is_shown(call: Callable[..., Result], backends: Backends, token: MakeToken) -> None:
    file = token("payments")
    done = call("--token-file", file)
    assert backends.tokens[0] == file.read_text() and file.read_text() not in done.output
