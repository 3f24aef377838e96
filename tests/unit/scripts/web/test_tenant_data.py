"""The data of one tenant: what is asked of the system tenant, what is shown, and why there is none."""

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from scripts.stackfile.file import StackFile
from scripts.tokens.signing import Signer
from tests.support.factories import PAIR
from tests.support.page import Browser, Site
from tests.support.tenant_apis import Asked, TenantApis, matrix, streams, vector

SCRIPT = "<script>alert(1)</script>"
SHOWN_SCRIPT = "&lt;script&gt;alert(1)&lt;/script&gt;"
NOT_APPLIED = "changed in the stack file since the last update, apply it first"
NOW = 1_796_040_000_000_000_000  # nanoseconds
# A line of the access log, as Envoy writes it, with a path of a client.
REFUSED = {
    "time": "2026-11-30T12:00:00.000Z",
    "tenant": "default",
    "api": "cortex",
    "method": "POST",
    "path": f"/api/v1/push/{SCRIPT}",
    "status": 429,
    "reason": "request_rate_limited",
    "key_id": None,
    "token_id": None,
    "bytes_received": 10,
    "bytes_sent": 20,
    "duration_ms": 1,
    "client": "10.0.0.7",
}
POD_ERROR = f'ts=2026-11-30T12:00:00Z caller=push.go:1 level=error org_id=default msg="{SCRIPT}"'


def alert(name: str, **labels: str) -> dict[str, Any]:
    """Return a firing alert, as the rulers of Cortex and Loki give it."""
    return {
        "labels": {"alertname": name, "severity": "warning", **labels},
        "annotations": {"summary": f"{name} of {labels.get('pod', SCRIPT)}"},
        "state": "firing",
        "activeAt": "2026-11-30T11:22:33.123456789Z",
        "value": "1e+00",
    }


ALERTS = {
    "cortex.default": [alert("Slow", path=SCRIPT), alert("Later") | {"state": "pending"}],
    "loki.default": [],
    "cortex.system": [
        alert("Watchdog", severity="none"),
        alert("TenantNotReady", namespace="default-tenant"),
        alert("TenantNotReady", namespace="other-tenant"),
        alert("RulesFailing", tenant="default"),
    ],
}


def answer(asked: Asked) -> tuple[int, Any]:
    """Answer as the tenants of an instance do."""
    if asked.path == "/prometheus/api/v1/alerts":
        found = next(alerts for host, alerts in ALERTS.items() if asked.host.startswith(f"{host}."))
        return 200, {"status": "success", "data": {"alerts": found}}
    if asked.path == "/api/v1/query_range":
        end = float(asked.query["end"])
        numbers = {"series": 180_000, "samples": 50}
        return 200, matrix(*(({"number": name}, [(end - 60, 1), (end, value)]) for name, value in numbers.items()))
    if asked.path == "/loki/api/v1/query":
        counts = {"200": 1234, "429": 5}
        return 200, vector(*(({"api": "cortex", "status": status}, count) for status, count in counts.items()))
    if "level=" in asked.query["query"]:
        return 200, streams(({"k8s_pod_name": "cortex-0", "x": SCRIPT}, [(NOW, POD_ERROR)]))
    return 200, streams(({}, [(NOW, json.dumps(REFUSED)), (NOW - 1, f"no JSON {SCRIPT}")]))


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(signer=Signer(PAIR))


@pytest.fixture
def apis(site: Site) -> TenantApis:
    """The APIs of tenants."""
    apis = TenantApis(answer)
    site.context.gateway = apis.client
    return apis


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.browser()


def rows(page: str) -> list[list[str]]:
    """Return the cells of all rows of a part's tables."""
    found = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in found]
    return [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]


def test_the_page_of_a_tenant_loads_each_part_by_itself(site: Site, browser: Browser) -> None:
    page = browser.get("/tenants/default")
    found = dict(re.findall(r'hx-get="/tenants/default/(\S+)" .*?hx-trigger="(.*?)"', page))
    often = dict.fromkeys(("data/use", "data/alerts"), "load, figures from:#live")
    seldom = dict.fromkeys(("data/answers", "data/errors"), "load, account from:#live")  # they read many log lines
    others = {"state": "tenants from:#live, ages from:#live", "tokens": "files from:#live", "facts": "load"}
    assert found == {**others, **often, **seldom}


def test_answers_of_the_gateway_are_counted_by_code_without_the_pages_own(browser: Browser, apis: TenantApis) -> None:
    page = browser.get("/tenants/default/data/answers")
    counted, refused = apis.asked
    for asked in (counted, refused):
        assert asked.host == "loki.system.showdown.example.com"
        query = r'\|= `(.*?)` \| json \| tenant="default" \| token_id!~"(.*?)"'
        ((text, own),) = re.findall(query, asked.query["query"])
        assert text == '"default"' and text in json.dumps(REFUSED)  # what comes before the JSON is parsed
        assert re.fullmatch(own, f"page-{uuid.uuid4()}") and not re.fullmatch(own, "page-of-the-shop")
    assert ["200", "cortex", "1,234"] in rows(page) and ["429", "cortex", "5"] in rows(page)
    assert SCRIPT not in page and f"POST /api/v1/push/{SHOWN_SCRIPT}" in page and f"no JSON {SHOWN_SCRIPT}" in page


def test_errors_of_pods_are_shown_as_text(browser: Browser, apis: TenantApis) -> None:
    page = browser.get("/tenants/default/data/errors")
    (asked,) = apis.asked
    assert asked.query["query"].startswith('{k8s_namespace_name="default-tenant"} |~ `level=(error')
    assert asked.query["limit"] == "50" and "cortex-0" in page
    assert SCRIPT not in page and SHOWN_SCRIPT in page


def test_alerts_of_the_tenant_and_of_the_platform_about_it_are_shown(browser: Browser, apis: TenantApis) -> None:
    page = browser.get("/tenants/default/data/alerts")
    assert [asked.host.split(".showdown")[0] for asked in apis.asked] == [
        "cortex.default",
        "loki.default",
        "cortex.system",
    ]
    found = rows(page)
    assert [row[0] for row in found if row[0] != "Alert"] == ["Slow", "RulesFailing", "TenantNotReady"]
    assert "Watchdog" not in page and "Later" not in page and "other-tenant" not in page
    assert "2026-11-30 11:22:33 UTC" in page and "No alert fires." in page
    assert SCRIPT not in page and f"path={SHOWN_SCRIPT}" in page and f"Slow of {SHOWN_SCRIPT}" in page


def test_nothing_to_show_is_said(browser: Browser, apis: TenantApis) -> None:
    apis.answer = lambda asked: (200, streams() if "range" in asked.path else vector())
    assert "No client of this tenant has sent a request" in browser.get("/tenants/default/data/answers")
    errors = browser.get("/tenants/default/data/errors")
    assert "told of no error in 24 hours" in errors
    assert NOT_APPLIED in errors and NOT_APPLIED in browser.get("/tenants/default/data/answers")
    assert re.search(r"Read at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.", errors)  # a tab may stay open for a night


@pytest.mark.parametrize("part", ["use", "alerts"])
def test_the_collectors_setting_may_not_be_applied_yet(browser: Browser, apis: TenantApis, part: str) -> None:
    """The page reads the stack file, which differs from what runs until the next update."""
    apis.answer = lambda asked: (200, {"data": {"alerts": []}} if asked.path.endswith("alerts") else matrix())
    assert browser.get(f"/tenants/default/data/{part}").count(NOT_APPLIED) == 1


@pytest.mark.parametrize("part", ["use", "answers", "errors", "alerts"])
def test_without_a_key_each_part_says_how_to_switch_it_on(make_site: Callable[..., Site], part: str) -> None:
    page = make_site().browser().get(f"/tenants/default/data/{part}")
    assert "`--key KEYPAIR_FILE`" in page and "<table" not in page


@pytest.mark.parametrize("part", ["use", "answers", "errors", "alerts"])
def test_a_system_tenant_that_is_down_is_told(browser: Browser, apis: TenantApis, part: str) -> None:
    apis.answer = lambda asked: (503, "no healthy upstream")
    page = browser.get(f"/tenants/default/data/{part}")
    assert "of system answers 503: no healthy upstream" in page and "<table" not in page


@pytest.mark.parametrize(
    ("part", "case"),
    [
        ("use", ({"metrics": False}, "collectors.metrics: true")),
        ("answers", ({"logs": False}, "collectors.logs: true")),
        ("answers", ({"namespaces": {"exclude": ["opstrace"]}}, "collectors.namespaces.exclude")),
        ("errors", ({"logs": False}, "collectors.logs: true")),
        ("errors", ({"namespaces": {"exclude": ["default-tenant"]}}, "collectors.namespaces.exclude")),
        ("alerts", ({"rules": {"enabled": False}}, "collectors.rules.enabled: true")),
        ("alerts", ({"metrics": False}, "collectors.metrics: true")),
    ],
)
def test_data_that_is_switched_off_says_how_to_switch_it_on(
    site: Site, browser: Browser, apis: TenantApis, part: str, case: tuple[dict[str, Any], str]
) -> None:
    collectors, setting = case
    file = StackFile("showdown", site.stack.parent)
    file.set("collectors", collectors)
    file.write()
    assert setting in browser.get(f"/tenants/default/data/{part}")
    assert [asked for asked in apis.asked if ".system." in asked.host] == []


@pytest.mark.parametrize("body", [{"data": {}}, {"data": None}, {"data": {"alerts": [{"state": "firing"}]}}])
def test_an_answer_of_another_form_is_told(browser: Browser, apis: TenantApis, body: dict[str, Any]) -> None:
    apis.answer = lambda asked: (200, body)
    assert "does not have the form" in browser.get("/tenants/default/data/alerts")
    assert "does not have the form" in browser.get("/tenants/default/data/errors")


def test_other_parts_and_tenants_do_not_exist(browser: Browser, apis: TenantApis) -> None:
    browser.get("/tenants/default/data/nothing", 404)
    assert "No stack file has the tenant nobody" in browser.get("/tenants/nobody/data/use")
    assert apis.asked == []


def test_no_part_has_a_style_or_a_token(browser: Browser, apis: TenantApis) -> None:
    for part in ("use", "answers", "errors", "alerts"):
        page = browser.get(f"/tenants/default/data/{part}")
        assert "style=" not in page and not any(token and token in page for token in apis.tokens)
