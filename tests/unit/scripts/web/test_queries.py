"""Queries of tenants: what is asked with which token, and answers as Cortex and Loki give them."""

import asyncio
import logging
import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from components.core.errors import UserError
from components.core.public_keys import canonical_pem, key_id
from scripts.cli.ui import ui
from scripts.stackfile.file import StackFile
from scripts.tokens.key_files import new_key, write_key_pair
from scripts.tokens.signing import Signer
from scripts.web.queries import MOST_AT_ONCE, Queries, QueryError, answer_in
from tests.support.factories import KEY, PAIR, settings
from tests.support.page import Site
from tests.support.pulumi_mocks import run_to_end
from tests.support.tenant_apis import Asked, TenantApis, matrix, streams, vector

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def apis(site: Site) -> TenantApis:
    apis = TenantApis(lambda asked: (200, vector(({"job": "app"}, 1))))
    site.context.gateway = apis.client
    return apis


@pytest.fixture
def queries(site: Site) -> Queries:
    return Queries(site.page.subject, Signer(PAIR))


def refused(queries: Queries, tenant: str = "default") -> str:
    """Return why a query is refused."""
    with pytest.raises(QueryError) as error:
        run_to_end(queries.instant(tenant, "up"))
    return str(error.value)


def test_a_query_of_metrics_goes_to_the_tenants_own_host_with_a_token_that_may_only_read(
    queries: Queries, apis: TenantApis
) -> None:
    answer = run_to_end(queries.instant("default", 'up{a="b&c"}', 17.5))
    (asked,) = apis.asked
    assert (asked.host, asked.path) == ("cortex.default.showdown.example.com", "/api/v1/query")
    assert asked.query == {"query": 'up{a="b&c"}', "time": "17.5"}
    assert asked.claims["scope"] == "metrics:read" and asked.claims["sub"] == "tenant-default"
    assert asked.claims["jti"].startswith("page-") and 0 < asked.claims["exp"] - time.time() <= 600
    assert answer.series[0].labels == {"job": "app"} and answer.series[0].points == ((1_796_040_000.0, 1.0),)


def test_a_range_and_logs_have_the_units_of_their_apis(queries: Queries, apis: TenantApis) -> None:
    run_to_end(queries.ranged("default", "up", 10, 20.5, 5))
    run_to_end(queries.logs("system", '{a="b"}', 1_796_040_000.5, 1_796_040_001, 7))
    run_to_end(queries.counted("system", 'sum(rate({a="b"}[1m]))', 1_796_040_000))
    run_to_end(queries.ranged_logs("system", 'sum(rate({a="b"}[1m]))', 1, 2, 0.5))
    ranged, logs, counted, counts = apis.asked
    assert ranged.path == "/api/v1/query_range"
    assert ranged.query == {"query": "up", "start": "10", "end": "20.5", "step": "5"}
    assert (logs.host, logs.path) == ("loki.system.showdown.example.com", "/loki/api/v1/query_range")
    assert logs.query["start"] == "1796040000500000000" and logs.query["end"] == "1796040001000000000"
    assert logs.query["limit"] == "7" and logs.query["direction"] == "backward"
    assert logs.claims["scope"] == "logs:read" and logs.claims["sub"] == "tenant-system"
    assert counts.path == logs.path and counts.query["step"] == "0.5"
    assert counted.path == "/loki/api/v1/query" and counted.query["time"] == "1796040000000000000"


def test_a_token_is_kept_for_a_tenant_and_an_api_and_renewed_before_its_end(
    queries: Queries, apis: TenantApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for later in (0, 470, 490):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        run_to_end(queries.instant("default", "up"))
    first, second, third = apis.tokens
    assert first == second != third
    run_to_end(queries.instant("system", "up"))
    run_to_end(queries.logs("default", "{}", 0, 1))
    assert len({*apis.tokens}) == 4


def test_without_a_key_nothing_is_sent_and_the_reason_is_told(site: Site, apis: TenantApis) -> None:
    queries = Queries(site.page.subject, None)
    assert queries.why_off() == refused(queries)
    assert "--key KEYPAIR_FILE" in refused(queries) and apis.asked == []


def test_an_instance_without_authentication_needs_no_key(site: Site, apis: TenantApis) -> None:
    file = StackFile("showdown", site.stack.parent)
    for name, value in settings(dataApi={"authentication": False}).items():
        file.set(name, value)
    file.write()
    run_to_end(Queries(site.page.subject, None).instant("default", "up"))
    assert apis.tokens == [None]


def test_a_key_that_the_gateway_would_refuse_is_told_before_anything_is_sent(site: Site, apis: TenantApis) -> None:
    other = refused(Queries(site.page.subject, Signer(new_key())))
    assert "which is not among publicKeys" in other and apis.asked == []


def test_limits_of_the_key_are_told(site: Site, apis: TenantApis, queries: Queries) -> None:
    file = StackFile("showdown", site.stack.parent)
    file.set("dataApi", {"publicKeys": {key_id(KEY): {"pem": canonical_pem(KEY), "tenants": ["system"]}}})
    file.write()
    assert "its key is limited to the tenants system" in refused(queries)
    run_to_end(queries.instant("system", "up"))
    assert [asked.host for asked in apis.asked] == ["cortex.system.showdown.example.com"]


@pytest.mark.parametrize("tenant", ["nobody", "x.evil.example/", ""])
def test_only_hosts_of_the_instances_tenants_are_asked(queries: Queries, apis: TenantApis, tenant: str) -> None:
    assert refused(queries, tenant) == f"There is no tenant {tenant!r}."
    assert apis.asked == []


# As Cortex 1.20 and Loki 3.6 answer, and the gateway before them.
@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (
            400,
            {"status": "error", "errorType": "bad_data", "error": 'parse error: unexpected "}"'},
            'Cortex of default answers 400: parse error: unexpected "}"',
        ),
        (
            400,
            "parse error at line 1, col 2:\nsyntax error\n",
            "Cortex of default answers 400: parse error at line 1, col 2: syntax error",
        ),
        (401, "Jwt is expired", "Cortex of default answers 401: Jwt is expired"),
        (503, "", "Cortex of default answers 503: without a reason"),
        (500, "x" * 5000, f"Cortex of default answers 500: {'x' * 300}…"),
        (200, "<html>", "Cortex of default answers without JSON"),
        (200, {"status": "success"}, "The answer does not have the form of the query API."),
        (200, {"data": {"resultType": "matrix", "result": [1]}}, "The answer does not have the form of the query API."),
        (
            200,
            {"data": {"resultType": "string", "result": [1, "a"]}},
            "The answer is a string, which this page does not show.",
        ),
    ],
)
def test_an_error_is_one_sentence(queries: Queries, apis: TenantApis, status: int, body: Any, told: str) -> None:
    apis.answer = lambda asked: (status, body)
    assert refused(queries) == told


def test_a_gateway_that_does_not_answer_is_told(queries: Queries, apis: TenantApis) -> None:
    def silent(asked: Asked) -> tuple[int, Any]:
        raise UserError(f"https://{asked.host} does not answer")

    apis.answer = silent
    assert refused(queries) == "https://cortex.default.showdown.example.com does not answer"


def test_all_kinds_of_answers_are_read() -> None:
    ranged = answer_in(matrix(({"a": SCRIPT}, [(1, 2), (2, math.nan)])))
    assert ranged.series[0].labels == {"a": SCRIPT} and ranged.series[0].points[0] == (1.0, 2.0)
    assert math.isnan(ranged.series[0].points[1][1])
    scalar = answer_in({"data": {"resultType": "scalar", "result": [1, "+Inf"]}, "warnings": ["partial"]})
    assert scalar.series[0].points == ((1.0, math.inf),) and scalar.warnings == ("partial",)
    histogram = answer_in({"data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]}})
    assert histogram.series[0].points == ()
    lines = answer_in(streams(({"pod": "a"}, [(5, "five"), (1, "one")]), ({"pod": "b"}, [(3, SCRIPT)]))).lines
    assert [(line.nanoseconds, line.text, line.labels["pod"]) for line in lines] == [
        (5, "five", "a"),
        (3, SCRIPT, "b"),
        (1, "one", "a"),
    ]


def test_other_paths_are_read_too(queries: Queries, apis: TenantApis) -> None:
    apis.answer = lambda asked: (200, {"status": "success", "data": ["__name__", "job"]})
    found = run_to_end(queries.read("default", "cortex", "/api/v1/labels", {"match[]": ["up", "down"]}))
    assert found == ["__name__", "job"] and apis.asked[0].query == {"match[]": "up"}


def test_no_more_queries_are_sent_at_once_than_the_bound(queries: Queries, apis: TenantApis) -> None:
    lock, under_way, most = threading.Lock(), [0], [0]

    def slow(asked: Asked) -> tuple[int, Any]:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        with lock:
            under_way[0] -= 1
        return 200, vector()

    async def ask_all() -> None:
        await asyncio.gather(*(queries.instant("default", "up") for _ in range(4 * MOST_AT_ONCE)))

    apis.answer = slow
    run_to_end(ask_all())
    assert len(apis.asked) == 4 * MOST_AT_ONCE and 1 < most[0] <= MOST_AT_ONCE


def test_no_token_is_logged_or_shown(
    queries: Queries, apis: TenantApis, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        run_to_end(queries.instant("default", "up"))
    token = str(apis.tokens[0])
    shown = capfd.readouterr()
    assert token not in caplog.text + shown.out + shown.err + repr(vars(queries))


def test_the_page_begins_with_a_trusted_key_alone(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "other.pem"
    write_key_pair(file)
    done = CliRunner().invoke(ui, ["local", "showdown", "--no-browser", "--key", str(file)], obj=site.context)
    assert isinstance(done.exception, UserError) and "showdown does not trust the key" in str(done.exception)
