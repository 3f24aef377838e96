"""Each panel of each dashboard has data on a new instance, and the page's commands write what Grafana reads."""

import json
import math
import time
from urllib.parse import urlencode

from ruamel.yaml import YAML

from scripts.dashboards.catalog import DASHBOARDS
from tests.support.dashboards import Asked, queries
from tests.support.polling import eventually
from tests.support.user_session import LABELS, UserSession, commands, url

PAGE = "how-to/dashboards.md"
TENANT = "default"
VALUES = {"tenant": TENANT, "window": "7d"}
START_SECONDS = 300  # until each collector has scraped each target twice, on a busy machine
MINUTES = 10


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


def test_each_panel_has_data(walk: UserSession) -> None:
    for number in range(10):  # requests of the tenant, which panels about it show
        assert walk.push_line(TENANT, f"line {number}", walk.token(TENANT), "dashboards")[0] == 204
        assert walk.push_sample(TENANT, {"__name__": "dashboards"}, number, walk.token(TENANT))[0] == 200
        assert walk.curl(url("cortex", TENANT, LABELS), token=walk.token(TENANT))[0] == 200
    missing = [*queries()]

    def none_is_left() -> bool:
        missing[:] = [query for query in missing if not has_data(walk, query)]
        return missing == []

    eventually(none_is_left, START_SECONDS, detail=lambda: [f"{one.where}: {one.filled(**VALUES)}" for one in missing])


def test_the_variable_of_tenants_has_all_of_them(walk: UserSession) -> None:
    match = urlencode({"match[]": "cortex_build_info"})
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
