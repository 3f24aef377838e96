"""Each panel of each dashboard has data on a new instance, and the page's commands write what Grafana reads."""

import json
import math
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from ruamel.yaml import YAML

from components.collectors.rules.gateway import REQUESTS
from components.collectors.rules.selectors import series
from components.core.names import PORTS, namespace
from scripts.dashboards.catalog import DASHBOARDS
from scripts.dashboards.expressions import OR_ZERO, SCRAPED_CORTEX
from scripts.dashboards.gateway import FAILED_CONNECTIONS, REFUSED_CHANGES
from tests.support.dashboards import Asked, queries
from tests.support.expressions import selectors
from tests.support.packets import PodNetwork
from tests.support.polling import eventually
from tests.support.user_session import LABELS, UserSession, commands, url

PAGE = "how-to/dashboards.md"
TENANT = "default"
VALUES = {"tenant": TENANT, "window": "7d"}
START_SECONDS = 300  # until each collector has scraped each target twice, on a busy machine
MINUTES = 10
TOO_LONG = "x" * 3000  # characters; both back ends take 2,048 in the value of a label
SELECTORS = {
    selector for query in queries() if query.source == "metrics" for selector in selectors(query.filled(**VALUES))
}
# These appear with the first fault: data lost, which no test of this folder makes, and failures and refusals, which others make.
# tests/integration/test_alerts_fire.py and test_gateway_faults_counted.py make each of them, and find its series.
LOSSES = {
    series("collector", "otelcol_exporter_enqueue_failed_metric_points_total"),
    series("collector", "otelcol_exporter_send_failed_log_records_total"),
    series("collector", "otelcol_exporter_send_failed_metric_points_total"),
}
FAILURES = {
    REFUSED_CHANGES,
    FAILED_CONNECTIONS,
    f'envoy_http_downstream_rq_xx_total{{{REQUESTS},envoy_response_code_class="5"}}',
}
RARE = LOSSES | FAILURES


def answer(walk: UserSession, query: Asked) -> tuple[int, str]:
    """Return what the system tenant answers to a query, with Grafana's variables filled in."""
    asked = {"query": query.filled(**VALUES)}
    if query.source == "metrics":
        api, path = "cortex", "/api/v1/query"
    else:
        api, path = "loki", "/loki/api/v1/query_range"
        asked |= {"start": str(time.time_ns() - MINUTES * 60 * 10**9), "step": "60", "limit": "10"}
    return walk.curl(f"{url(api, 'system', path)}?{urlencode(asked)}", token=walk.token("system"))


def has_data(walk: UserSession, query: Asked) -> bool:
    """Tell whether a query gives lines, or a number."""
    status, text = answer(walk, query)
    assert status not in (400, 422), f"{query}: {text}"
    results = json.loads(text)["data"]["result"] if status == 200 else []
    if any("stream" in result for result in results):
        return any(result["values"] for result in results)
    values = [value for result in results for _, value in result.get("values", [result.get("value")])]
    return any(math.isfinite(float(value)) for value in values)


def of_series(selector: str) -> Asked:
    """Return a query that gives nothing where no series has the selector."""
    return Asked("", "metrics", f"count({selector})")


@pytest.fixture(scope="module", autouse=True)
def requests(walk: UserSession) -> None:
    """Requests of the tenant, which panels about it show. The gateway and both back ends refuse some; Loki stores chunks."""
    token, labels = walk.token(TENANT), {"__name__": "dashboards"}
    for number in range(10):
        assert walk.push_line(TENANT, f"line {number}", token, "dashboards")[0] == 204
        assert walk.push_sample(TENANT, labels, number, token)[0] == 200
        assert walk.curl(url("cortex", TENANT, LABELS), token=token)[0] == 200
        assert walk.curl(url("loki", TENANT, "/loki/api/v1/labels"), token=token)[0] == 200
    assert walk.curl(url("cortex", TENANT, "/unknown"), token=token)[0] == 404
    assert walk.push_line(TENANT, "refused", token, TOO_LONG)[0] == 400
    assert walk.push_sample(TENANT, labels | {"long": TOO_LONG}, 1, token)[0] == 400
    loki = PodNetwork.of(walk, namespace(TENANT), "loki")
    loki.output("curl", "-sf", "-X", "POST", f"http://127.0.0.1:{PORTS['loki']}/flush")


def test_each_panel_has_data(walk: UserSession) -> None:
    missing = [*queries()]

    def none_is_left() -> bool:
        missing[:] = [query for query in missing if not has_data(walk, query)]
        return missing == []

    eventually(none_is_left, START_SECONDS, detail=lambda: [f"{one.where}: {one.filled(**VALUES)}" for one in missing])


def test_what_panels_read_has_series(walk: UserSession) -> None:
    """Many queries give 0 where nothing has happened, so that a name or a label that is wrong gives 0 too."""
    assert len(SELECTORS) > 40 and RARE < SELECTORS
    logs = [query for query in queries() if query.source == "logs"]
    missing = [of_series(selector) for selector in sorted(SELECTORS - RARE)]
    missing += [replace(query, expression=query.expression.replace(OR_ZERO, "")) for query in logs]

    def none_is_left() -> bool:
        missing[:] = [query for query in missing if not has_data(walk, query)]
        return missing == []

    eventually(none_is_left, START_SECONDS, detail=lambda: [one.expression for one in missing])


def test_what_appears_with_a_fault_alone_is_not_usual(walk: UserSession) -> None:
    """Other tests restart back ends and give keys that are refused, so there may be counts. None of them is 0."""
    usual = LOSSES | {f"({selector} == 0)" for selector in FAILURES}
    assert {selector for selector in usual if has_data(walk, of_series(selector))} == set()


def test_the_variable_of_tenants_has_all_of_them(walk: UserSession) -> None:
    match = urlencode({"match[]": SCRAPED_CORTEX})
    status, text = walk.curl(
        f"{url('cortex', 'system', f'/api/v1/label/tenant/values?{match}')}", token=walk.token("system")
    )
    assert status == 200 and {*json.loads(text)["data"]} >= {"default", "system"}


def test_the_commands_of_the_page_write_data_sources_and_dashboards(walk: UserSession, trusted_pair: str) -> None:
    token = walk.folder / "keypair.pem"
    token.unlink(missing_ok=True)
    token.symlink_to(trusted_pair)
    folder, output = walk.follow(commands(PAGE), token)
    (provisioning,) = (folder / "grafana").glob("*.yaml")
    sources = YAML(typ="safe").load(provisioning.read_text())["datasources"]
    assert {source["type"] for source in sources} >= {"prometheus", "loki"}
    written = sorted((folder / "dashboards").iterdir())
    assert {file.name for file in written} == {f"opstrace-{dashboard.name}.json" for dashboard in DASHBOARDS}
    assert {f"dashboards/{file.name}" for file in written} <= {*output.splitlines()}
