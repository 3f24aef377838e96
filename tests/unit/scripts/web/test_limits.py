"""What a tenant uses of its limits: what is asked of the system tenant, and what is shown of each limit."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from components.collectors.kept_metrics import is_kept
from components.config.backend_limits import LOGS_LIMIT_NAMES, METRICS_LIMIT_NAMES
from scripts.stackfile.file import StackFile
from scripts.tokens.signing import Signer
from scripts.web.data import limits
from scripts.web.data.limits import INFO, LIMITED, LIMITED_ALERTMANAGER, NUMBERS
from tests.support.expressions import foreign
from tests.support.factories import PAIR
from tests.support.page import Browser, Site
from tests.support.tenant_apis import Asked, TenantApis, matrix

SHOWN: dict[str, float] = {
    "series": 180_000,
    "samples": 50,
    "queue": 0,
    "groups": 3,
    "alerts": 8_500,
    "notifications": 0.4,
    "lines": 3,
    "bytes": 4 << 20,
}
METRICS = {
    "max_series_per_user": 1000,
    "max_global_series_per_user": 0,
    "ingestion_rate": 25_000,
    "max_outstanding_requests_per_tenant": 100,
    "ruler_max_rule_groups_per_tenant": 0,
    "max_exemplars": 0,
    "max_metadata_per_user": 8000,
    "alertmanager_max_alerts_count": 10_000,
    "alertmanager_notification_rate_limit": 0,
    "alertmanager_max_silences_count": 1000,
}
LOGS = "{max_streams_per_user: 0, max_global_streams_per_user: 0, ingestion_rate_mb: 8, per_stream_rate_limit: 3MB}"


def answer(asked: Asked) -> tuple[int, Any]:
    """Answer as the system tenant does, which has no streams."""
    end = float(asked.query["end"])
    return 200, matrix(*(({"number": name}, [(end - 60, 1), (end, value)]) for name, value in SHOWN.items()))


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(signer=Signer(PAIR))


@pytest.fixture
def apis(site: Site, monkeypatch: pytest.MonkeyPatch) -> TenantApis:
    """The APIs of tenants, in a cluster whose back ends tell these limits."""
    apis = TenantApis(answer)
    site.context.gateway = apis.client
    answers = {
        "/config": f"limits: {METRICS}",
        "/runtime_config": "overrides: {default: {max_series_per_user: 200000}}",
        "/config/tenant/v1/limits": LOGS,
    }
    monkeypatch.setattr(site.cluster, "ask", lambda *arguments: answers.get(arguments[3]))
    return apis


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.browser()


def rows(browser: Browser) -> dict[str, list[str]]:
    """Return the cells of the rows of the table, by what is limited; names of limits are left out."""
    page = browser.get("/tenants/default/data/use")
    found = re.findall(r"<tr>(.*?)</tr>", re.sub(r"<small>.*?</small>", "", page), re.DOTALL)[1:]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in found]
    texts = [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]
    return {label: others for label, *others in texts}


def test_the_use_of_limits_is_shown_with_one_query(browser: Browser, apis: TenantApis) -> None:
    page = browser.get("/tenants/default/data/use")
    (asked,) = apis.asked
    query = asked.query["query"]
    assert asked.host == "cortex.system.showdown.example.com"
    assert query.count('",tenant="default"}') == 2 * len(NUMBERS) and foreign(query) == set()
    assert page.count("<polyline") == 7 and '<span class="state bad">90%</span>' in page
    assert "<code>max_series_per_user</code>" in page
    found = rows(browser)
    assert [*found.items()][:9] == [
        ("Series in a pod", ["180k", "200k", "90%"]),
        ("Series in all pods", ["180k", "no limit", "not limited"]),
        ("Samples/s", ["50", "25k", "0%"]),
        ("Queries that wait", ["0", "100", "0%"]),
        ("Rule groups", ["3", "no limit", "not limited"]),
        ("Streams in a pod", ["not scraped in the last hour", "no limit", "not limited"]),
        ("Streams in all pods", ["not scraped in the last hour", "no limit", "not limited"]),
        ("Lines/s", ["3", "no limit", "not limited"]),
        ("Bytes of lines/s", ["4.2M", "8.4M", "50%"]),
    ]


def test_the_limits_that_cortex_started_with_are_kept_for_some_minutes(
    site: Site, browser: Browser, apis: TenantApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, ask = [], site.cluster.ask

    def counted(*arguments: Any) -> Any:
        asked.append(arguments[3])
        return ask(*arguments)

    monkeypatch.setattr(site.cluster, "ask", counted)
    assert rows(browser) == rows(browser)
    assert (asked.count("/config"), asked.count("/runtime_config")) == (1, 2)
    monkeypatch.setattr(limits, "BASE_SECONDS", -1)
    assert rows(browser)["Series in a pod"][1] == "200k" and asked.count("/config") == 2


def test_where_collectors_keep_no_metric_the_row_has_no_figure(browser: Browser, apis: TenantApis) -> None:
    found = rows(browser)
    assert found["Metrics with metadata"] == ["no figure", "8k", "unknown"]
    assert found["Exemplars in a pod"] == ["no figure", "0", "unknown"]  # of this limit, 0 is not none
    assert found["Bytes/s of one stream"] == ["no figure", "3MB", "unknown"]
    assert found["Clients that tail"] == ["no figure", "unknown: the back end does not tell it", "unknown"]
    assert {cells[0] for cells in [*found.values()][9:]} == {"no figure"}


def test_limits_of_the_alertmanager_are_shown_of_tenants_that_have_one(
    site: Site, browser: Browser, apis: TenantApis
) -> None:
    assert "Alerts" not in rows(browser)
    file = StackFile("showdown", site.stack.parent)
    file.set("tenants", [{"name": "default", "alertmanager": {"enabled": True}}])
    file.write()
    found = rows(browser)
    assert found["Alerts"] == ["8.5k", "10k", "85%"]
    assert found["Notifications/s of one integration"] == ["0.4", "no limit", "not limited"]
    assert found["Silences"] == ["no figure", "1k", "unknown"]


def test_limits_are_unknown_while_back_ends_do_not_answer(
    browser: Browser, apis: TenantApis, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.cluster, "ask", lambda *_: None)
    assert rows(browser)["Series in a pod"] == ["180k", "unknown: the back end does not answer", "unknown"]


def test_the_system_tenant_has_all_metrics_of_the_numbers_and_each_limit_exists() -> None:
    metrics = {
        (name, number.program)
        for number in NUMBERS.values()
        for name in re.findall(r"(?:cortex|loki)_\w+", number.expression)
    }
    assert len(metrics) == len(NUMBERS)
    assert all(is_kept(name, job) for name, job in metrics | {(name, job) for job, name in INFO.items()})
    assert {number.program for number in NUMBERS.values()} == {*INFO}
    limited = (*LIMITED, *LIMITED_ALERTMANAGER)
    assert {one.number for one in limited} == {*NUMBERS, None}
    for one in limited:
        assert one.limit is None or one.limit in (METRICS_LIMIT_NAMES if one.kind == "metrics" else LOGS_LIMIT_NAMES)
