"""The dashboards: what Grafana expects of their files, and which metrics they use."""

import re
from itertools import combinations
from typing import Any

import pytest

from tests.support.dashboards import OWN_VARIABLES, Asked, models, panels, queries
from tests.support.expressions import foreign, selectors

MODELS = models()
PANELS = [(name, panel) for name, model in MODELS.items() for panel in panels(model)]
# What Grafana 11.6's own schema requires, beside what all panels have (grafana-foundation-sdk, `UnmarshalJSONStrict`).
OPTIONS = {
    "timeseries": {"legend", "tooltip"},
    "stat": {
        *("graphMode", "colorMode", "justifyMode", "textMode", "wideLayout", "reduceOptions", "showPercentChange"),
        *("percentChangeColorMode", "orientation"),
    },
    "table": {"frameIndex", "showHeader"},
    "logs": {
        *("showLabels", "showCommonLabels", "showTime", "showLogContextToggle", "wrapLogMessage", "prettifyLogMessage"),
        *("enableLogDetails", "sortOrder", "dedupStrategy"),
    },
}
UNITS = {"short", "s", "ms", "bytes", "Bps", "cps", "reqps", "percentunit"}  # Grafana, 'Standard options': identifiers


@pytest.mark.parametrize("query", [one for one in queries() if one.source == "metrics"], ids=lambda one: one.where)
def test_each_panel_reads_metrics_that_are_collected_and_the_platform_s_own_alone(query: Asked) -> None:
    assert selectors(query.expression) and foreign(query.expression) == set()


def test_the_tenants_to_choose_from_are_those_of_the_platform_s_own_series() -> None:
    asked = [
        variable["definition"]
        for model in MODELS.values()
        for variable in model["templating"]["list"]
        if variable["type"] == "query"
    ]
    assert asked
    for text in asked:
        selector, _, label = text.removeprefix("label_values(").removesuffix(")").rpartition(", ")
        assert label == "tenant" and selectors(selector) == {selector} and foreign(selector) == set()


@pytest.mark.parametrize("name", MODELS)
def test_a_dashboard_has_what_grafana_imports(name: str) -> None:
    model = MODELS[name]
    assert model["id"] is None and model["uid"] == f"opstrace-{name}" and len(model["uid"]) <= 40
    assert isinstance(model["schemaVersion"], int) and model["title"] and model["description"]
    identities = [panel["id"] for panel in model["panels"]]
    assert len({*identities}) == len(identities)
    variables = {variable["name"]: variable for variable in model["templating"]["list"]}
    assert (variables["metrics"]["type"], variables["metrics"]["query"]) == ("datasource", "prometheus")
    assert (variables["logs"]["type"], variables["logs"]["query"]) == ("datasource", "loki")
    used = {
        match
        for panel in panels(model)
        for one in panel["targets"]
        for match in re.findall(r"\$([a-zA-Z_]\w*)", one["expr"])
    }
    assert used - OWN_VARIABLES.keys() <= variables.keys()
    assert variables.keys() - {"metrics", "logs"} <= used


@pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"]
)
def test_a_panel_has_what_grafana_shows(name: str, panel: dict[str, Any]) -> None:
    assert OPTIONS[panel["type"]] <= panel["options"].keys()
    assert panel["title"] and panel["description"].endswith(".")
    config = panel["fieldConfig"]
    units = {config["defaults"]["unit"]} | {one["value"] for over in config["overrides"] for one in over["properties"]}
    assert units <= UNITS
    assert [target["refId"] for target in panel["targets"]] == [chr(65 + n) for n in range(len(panel["targets"]))]
    for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        assert source in ({"type": "prometheus", "uid": "${metrics}"}, {"type": "loki", "uid": "${logs}"})
    if panel["type"] == "stat":
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


@pytest.mark.parametrize("name", MODELS)
def test_panels_are_side_by_side_within_the_grid(name: str) -> None:
    places = [panel["gridPos"] for panel in MODELS[name]["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)

    def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
        return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))

    assert not [pair for pair in combinations(places, 2) if overlap(*pair)]


def test_the_columns_of_a_table_have_their_headings_and_units() -> None:
    (table,) = (panel for _, panel in PANELS if panel["type"] == "table")
    (organize,) = (step["options"] for step in table["transformations"] if step["id"] == "organize")
    headings = organize["renameByName"]
    assert [*headings] == [f"Value #{target['refId']}" for target in table["targets"]]
    assert [*headings.values()] == [override["matcher"]["options"] for override in table["fieldConfig"]["overrides"]]
    assert all(target["instant"] and target["format"] == "table" for target in table["targets"])
