"""`integrations check`: data that arrives, and each place where it can stop."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import Result

from components.core.errors import UserError
from scripts.cli.integrations.check import check
from scripts.clients.gateway.reach import Obstacle
from scripts.integrations import check as service
from tests.support.contexts import FakeContext, invoke
from tests.unit.scripts.integrations.conftest import MakeToken

ID = "5f2c0c9e"


class Backends:
    """A tenant's back ends, and the gateway before them.

    `answers` has the gateway's answers by path. `data` has the numbers of series and lines that the client has
    sent. Probes are returned if `queryable`.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.data: dict[str, int] = {}
        self.queryable = True
        self.pushed: list[str] = []
        self.tokens: list[str] = []
        self.tenants: list[str] = []
        self.queried: list[str] = []

    def __call__(self, token: str) -> "Backends":
        self.tokens.append(token)
        return self

    def request(self, method: str, url: str, body: str | None = None) -> tuple[int, str]:
        path = urlsplit(url).path
        status, text = self.answers.get(path, (200, ""))
        if method == "GET":
            self.queried.append(path)
            return status, text if status != 200 or not urlsplit(url).query else self._result(urlsplit(url).query)
        assert body and ID in body
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
    made = Backends()
    context.gateway, context.test_cluster = made, made
    return made


@pytest.fixture
def call(context: FakeContext, backends: Backends) -> Callable[..., Result]:
    def run(*options: object, tenant: str = "payments") -> Result:
        return invoke(context, check, "aws", "showdown", tenant, "--id", ID, "--wait", "1", "--timeout", "1", *options)

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


METRICS_PUSH, LOGS_PUSH = "/api/v1/otlp/v1/metrics", "/loki/api/v1/push"


def says(tenant: str, path: str, answer: str) -> str:
    """Return how a finding shows an answer to a path of a tenant."""
    api = "loki" if path.startswith("/loki") else "cortex"
    return f"https://{api}.{tenant}.showdown.example.com{path} answers {answer}"


@pytest.mark.parametrize(
    ("tenant", "changes", "scopes", "why"),
    [
        ("payments", {"issued": 1_600_000_000, "seconds": 60}, (), "it ended at 2020-09-13T12:27:40Z"),
        ("payments", {}, ("logs:read",), "the token lacks metrics:write"),
        ("checkout", {}, (), "its subject (sub) is 'tenant-checkout', but the tenant is payments"),
        (
            "payments",
            {},
            (),
            "the stack file accepts it, so the gateway has another state: apply it with `pulumi up`",
        ),
    ],
)
def test_a_refused_token_is_explained(  # noqa: PLR0913, PLR0917 the cases are arguments
    call: Callable[..., Result],
    backends: Backends,
    token: MakeToken,
    tenant: str,
    changes: dict[str, Any],
    scopes: tuple[str, ...],
    why: str,
) -> None:
    backends.answers = {METRICS_PUSH: (401, "bad authentication token")}
    found = errors(call("--token-file", token(tenant, *scopes, **changes)))
    said = says("payments", METRICS_PUSH, "401: bad authentication token")
    assert found == [f"error  token: {said} ({why}); replace the token file"]


@pytest.mark.parametrize(
    ("status", "name", "remedy"),
    [
        (403, "push", "check `allowedCidrs` of the tenant payments in the stack file"),
        (404, "path", "apply the tenant payments with `pulumi up`, and look at `./opstrace status`"),
        (429, "push", "send less, or raise the rate limit of the tenant payments: docs/how-to/rate-limits.md"),
        (503, "push", "`./opstrace tenants list` shows whether the tenant's pods are ready; try again once they are"),
        (413, "push", "see docs/reference/gateway-answers.md for this answer"),
    ],
)
def test_other_answers_to_the_probe_are_told(  # noqa: PLR0913, PLR0917 the cases are arguments
    call: Callable[..., Result], backends: Backends, token: MakeToken, status: int, name: str, remedy: str
) -> None:
    backends.answers = {LOGS_PUSH: (status, "full")}
    said = says("payments", LOGS_PUSH, f"{status}: full")
    assert errors(call("--token-file", token("payments"))) == [f"error  {name}: {said}; {remedy}"]


def test_a_gateway_that_ends_the_connection_is_told(
    call: Callable[..., Result], backends: Backends, token: MakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reset(method: str, url: str, body: str | None = None) -> tuple[int, str]:
        raise UserError(f"{url} does not answer in 1 s")

    monkeypatch.setattr(backends, "request", reset)
    said = "https://cortex.payments.showdown.example.com/api/v1/otlp/v1/metrics does not answer in 1 s"
    remedy = "look at `./opstrace status`, or wait longer with --timeout"
    assert errors(call("--token-file", token("payments"))) == [f"error  push: {said}; {remedy}"]


QUERY_REMEDY = "`./opstrace tenants list` shows whether the tenant's pods are ready; --timeout waits longer"


@pytest.mark.parametrize(
    ("answers", "why"),
    [({}, ""), ({"/loki/api/v1/query_range": (400, "too many matchers")}, " last query was answered 400: too many")],
)
def test_an_accepted_probe_that_queries_do_not_return_is_told(
    call: Callable[..., Result], backends: Backends, token: MakeToken, answers: dict[str, tuple[int, str]], why: str
) -> None:
    backends.queryable, backends.answers = False, answers
    (error,) = errors(call("--token-file", token("payments")))
    said = "the probe of metrics, logs was accepted, but queries do not return it after 1 s"
    assert error.startswith(f"error  query: {said}; ") and why in error and error.endswith(f"; {QUERY_REMEDY}")


def test_a_client_that_reads_is_true_without_data_and_false_with_the_reason(
    call: Callable[..., Result], backends: Backends, token: MakeToken
) -> None:
    file = token("payments", "metrics:read", "logs:read")
    done = call("--token-file", file, "--reads")
    assert done.exit_code == 0 and backends.pushed == []
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["gateway:", "query:", "query:"]
    assert backends.queried == ["/api/v1/labels", "/loki/api/v1/labels"]
    backends.answers = {"/loki/api/v1/labels": (503, "no connection to the tenant's pods")}
    (error,) = errors(call("--token-file", file, "--reads"))
    assert error.startswith(
        "error  query: https://loki.payments.showdown.example.com/loki/api/v1/labels answers 503: no"
    )
    writing = token("payments", "metrics:write", name="writing.jwt")
    backends.answers = {"/api/v1/labels": (401, "bad authentication token: scope does not cover metrics:read")}
    (error,) = errors(call("--token-file", writing, "--reads"))
    assert "(the token lacks metrics:read); replace the token file" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--id", '5f2c0c9e"}'],
            "--id '5f2c0c9e\"}': use 8 to 64 characters of a-z, 0-9 and '-', as `write` prints it",
        ),
        (["--reads"], "--reads needs --token-file FILE, the token of the client that reads"),
    ],
)
def test_a_bad_option_is_refused(call: Callable[..., Result], options: list[str], message: str) -> None:
    assert str(call(*options).exception) == message


def test_an_unknown_tenant_and_one_that_the_cluster_does_not_have_are_refused(
    call: Callable[..., Result], backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no tenant nobody" in str(call(tenant="nobody").exception)
    monkeypatch.setattr(backends, "get", lambda *_: None)
    (error,) = errors(call())
    assert error.startswith("error  cluster: the cluster has no namespace payments-tenant: apply the tenant payments")


def test_a_cluster_that_does_not_answer_is_told_after_what_was_found_before(
    call: Callable[..., Result], backends: Backends, token: MakeToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise UserError("the cluster does not answer")

    monkeypatch.setattr(backends, "get", refuse)
    done = call("--token-file", token("payments", "metrics:write", "logs:write"))
    remedy = "to do without the cluster, name a token that may also read"
    assert errors(done) == [f"error  cluster: the cluster does not answer; {remedy}"]
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["gateway:", "push:", "push:", "cluster:"]


@pytest.mark.parametrize(
    ("scopes", "options", "tenants"),
    [
        (("metrics:write", "metrics:read"), (), set()),
        (("metrics:write", "metrics:read", "logs:write"), ("--data", "metrics"), set()),
        (("metrics:write", "metrics:read", "logs:write"), (), {"payments"}),
    ],
)
def test_a_token_that_may_read_the_data_that_is_sought_needs_no_cluster(  # noqa: PLR0913, PLR0917 the cases are arguments
    call: Callable[..., Result],
    backends: Backends,
    token: MakeToken,
    scopes: tuple[str, ...],
    options: tuple[str, ...],
    tenants: set[str],
) -> None:
    backends.data = {"metrics": 1}
    assert call("--token-file", token("payments", *scopes), *options).exit_code == 0
    assert {*backends.tenants} == tenants


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
