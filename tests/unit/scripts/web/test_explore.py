"""Explore: what a browser gets of queries and names, how much of it, and the policy of its styles."""

import json
import re
from typing import Any

import pytest

from scripts.tokens.signing import Signer
from scripts.web.views.explore import MOST_CHARACTERS, MOST_LINES, MOST_NAMES, MOST_POINTS, MOST_SERIES, RANGES, step_of
from tests.support.factories import PAIR
from tests.support.page import Browser, Site
from tests.support.tenant_apis import TenantApis, matrix, streams

QUERY = "/explore/query?tenant=default&language={language}&range={range}&query={query}"


@pytest.fixture
def site(make_site: Any) -> Site:
    made: Site = make_site(signer=Signer(PAIR))
    return made


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.browser()


def answering(site: Site, status: int, body: Any) -> TenantApis:
    apis = TenantApis(lambda asked: (status, body))
    site.context.gateway = apis.client
    return apis


def result(browser: Browser, language: str = "promql", query: str = "up", range_: str = "1h", status: int = 200) -> Any:
    return json.loads(browser.get(QUERY.format(language=language, range=range_, query=query), status))


def test_without_a_key_the_page_says_why_it_is_off(make_site: Any) -> None:
    browser = make_site().browser()
    page = browser.get("/explore")
    assert "--key KEYPAIR_FILE" in page and "<form" not in page and "editor.min.js" not in page
    assert "--key KEYPAIR_FILE" in result(browser, status=422)["error"]


def test_the_query_of_the_url_stands_in_the_editor_as_text(browser: Browser) -> None:
    page = browser.get("/explore?tenant=default&language=logql&range=6h&query=%3C/textarea%3E%3Cscript%3E")
    assert "&lt;/textarea&gt;&lt;script&gt;</textarea>" in page
    assert re.findall(r"<option[^>]* selected>(\w+)<", page) == ["default", "LogQL", "6h"]


def test_unknown_choices_of_the_url_are_the_defaults(browser: Browser) -> None:
    page = browser.get("/explore?tenant=nobody&language=sql&range=9y")
    assert re.findall(r"<option[^>]* selected>(\w+)<", page) == ["default", "PromQL", "1h"]


def test_a_nonce_allows_the_styles_of_the_editor_on_this_view_alone_and_once(browser: Browser) -> None:
    policies = [browser.client.get(path).headers["content-security-policy"] for path in ("/explore", "/explore", "/")]
    nonces = [re.findall(r"style-src 'self' 'nonce-([\w-]{20,})';", policy) for policy in policies]
    assert [len(one) for one in nonces] == [1, 1, 0] and nonces[0] != nonces[1]
    assert all("script-src 'self';" in policy and "unsafe" not in policy for policy in policies)


def test_series_have_a_value_or_null_for_each_time(site: Site, browser: Browser) -> None:
    apis = answering(
        site, 200, matrix(({"a": "1"}, [(10, 1.5), (20, float("nan"))]), ({"a": "2"}, [(20, float("inf")), (30, 3)]))
    )
    found = result(browser)
    assert found["times"] == [10, 20, 30] and found["lines"] == found["notices"] == []
    assert found["series"] == [
        {"labels": {"a": "1"}, "values": [1.5, None, None]},
        {"labels": {"a": "2"}, "values": [None, None, 3]},
    ]
    (asked,) = apis.asked
    assert asked.path == "/api/v1/query_range" and asked.query["step"] == "15"
    assert float(asked.query["end"]) - float(asked.query["start"]) == found["end"] - found["start"] == 3600


@pytest.mark.parametrize("seconds", RANGES.values())
def test_a_series_has_no_more_points_than_a_plot_shows(seconds: int) -> None:
    assert seconds / step_of(seconds) <= MOST_POINTS


def test_too_many_series_are_cut_and_the_page_says_so(site: Site, browser: Browser) -> None:
    answering(site, 200, matrix(*(({"a": str(one)}, [(10.0, 1.0)]) for one in range(1234))))
    found = result(browser)
    assert len(found["series"]) == MOST_SERIES
    assert found["notices"] == ["Only 100 of 1,234 series are shown. Select fewer by labels, or aggregate them."]


def test_too_many_and_too_long_lines_are_cut_and_the_page_says_so(site: Site, browser: Browser) -> None:
    lines = [(at * 1_000_000, "x" * (MOST_CHARACTERS + 7)) for at in range(MOST_LINES + 1)]
    apis = answering(site, 200, streams(({"job": "app"}, lines)))
    found = result(browser, "logql", '{job="app"}')
    assert len(found["lines"]) == MOST_LINES and found["series"] == []
    assert found["lines"][0]["milliseconds"] == MOST_LINES and found["lines"][0]["labels"] == {"job": "app"}
    assert found["lines"][0]["text"].endswith("x… (7 more characters)")
    assert found["notices"] == ["Only the newest 500 lines are shown. Select a shorter time, or filter the lines."]
    assert apis.asked[0].query["limit"] == str(MOST_LINES + 1)


@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("promql", {"status": "error", "errorType": "bad_data", "error": 'parse error: unexpected "}"'}),
        ("logql", 'parse error: unexpected "}"'),
    ],
)
def test_an_error_of_the_query_language_is_shown_as_the_back_end_tells_it(
    site: Site, browser: Browser, language: str, body: Any
) -> None:
    answering(site, 400, body)
    assert 'parse error: unexpected "}"' in result(browser, language, status=422)["error"]


def test_an_empty_query_is_not_sent(site: Site, browser: Browser) -> None:
    apis = answering(site, 200, matrix())
    assert "empty" in result(browser, query="%20", status=422)["error"] and apis.asked == []


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("cortex/api/v1/label/__name__/values", "/api/v1/label/__name__/values"),
        ("cortex/api/v1/series?match[]=up", "/api/v1/series"),
        ("loki/loki/api/v1/labels?start=5", "/loki/api/v1/labels"),
    ],
)
def test_names_come_from_the_tenants_back_end_by_a_token_that_may_only_read(
    site: Site, browser: Browser, path: str, asked: str
) -> None:
    apis = answering(site, 200, {"status": "success", "data": [str(one) for one in range(MOST_NAMES + 1)]})
    found = json.loads(browser.get(f"/explore/default/{path}"))
    assert found["status"] == "success" and len(found["data"]) == MOST_NAMES
    (request,) = apis.asked
    assert request.path == asked and request.claims["scope"] in ("metrics:read", "logs:read")


def test_metadata_of_metrics_keeps_its_form(site: Site, browser: Browser) -> None:
    data = {"up": [{"type": "gauge", "help": "Whether a target answers."}]}
    answering(site, 200, {"status": "success", "data": data})
    assert json.loads(browser.get("/explore/default/cortex/api/v1/metadata"))["data"] == data


@pytest.mark.parametrize(
    "path",
    [
        "cortex/api/v1/query",
        "cortex/api/v1/push",
        "cortex/api/v1/label/a/b/values",
        "cortex/api/v1/label/é/values",
        "cortex/api/v1/label/..%2f..%2fx/values",
        "cortex/loki/api/v1/labels",
        "loki/loki/api/v1/delete",
        "loki/api/v1/labels",
        "other/api/v1/labels",
    ],
)
def test_no_other_path_is_asked_for_a_browser(site: Site, browser: Browser, path: str) -> None:
    apis = answering(site, 200, {"status": "success", "data": []})
    browser.get(f"/explore/default/{path}", 404)
    assert apis.asked == []


def test_a_name_that_is_no_tenant_is_never_part_of_a_host(site: Site, browser: Browser) -> None:
    apis = answering(site, 200, {"status": "success", "data": []})
    assert "There is no tenant" in browser.get("/explore/evil.example%23/cortex/api/v1/labels", 422)
    assert apis.asked == []


def test_a_read_only_page_answers_queries_too(make_site: Any) -> None:
    site = make_site(signer=Signer(PAIR), read_only=True)
    answering(site, 200, matrix(({}, [(10, 1)])))
    assert len(result(site.browser())["series"]) == 1
