"""The platform's rules: each alert has a runbook, and what rules read is kept; where the files are, and when."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.collectors.rules.file import RUNBOOKS, groups
from components.collectors.rules.mounted import FILE, PLATFORM
from components.collectors.rules.rule import Alert, Recording
from components.config.load import from_settings
from components.config.platform.collectors import OWN_JOBS
from components.core.errors import ConfigError
from components.core.resource_names import CONFIG_MAP_TYPE, STATEFUL_SET_TYPE
from tests.support.expressions import foreign, jobs, metrics, selectors
from tests.support.factories import settings
from tests.support.pulumi_mocks import Resources, declared

ROOT = Path(__file__).parent.parent.parent.parent
ENDS = {"k1": 1_900_000_000}
RULES = [rule for group in groups(ENDS) for rule in group.rules]
ALERTS = [rule for rule in RULES if isinstance(rule, Alert)]
RECORDED = {rule.record for rule in RULES if isinstance(rule, Recording)}


def cortex(resources: Resources, tenant: str) -> dict[str, Any]:
    """Return the configuration of a tenant's Cortex, and the volumes of its pods by name."""
    of_tenant = [entry for entry in resources if entry.name.startswith(f"{tenant}-cortex")]
    (config,) = (
        json.loads(entry.inputs["data"]["config.yaml"])
        for entry in of_tenant
        if entry.typ == CONFIG_MAP_TYPE and "config.yaml" in entry.inputs["data"]
    )
    (pods,) = (entry.inputs["spec"]["template"]["spec"] for entry in of_tenant if entry.typ == STATEFUL_SET_TYPE)
    volumes = {volume["name"]: volume for volume in pods["volumes"]}
    mounts = {mount["name"]: mount for mount in pods["containers"][0]["volumeMounts"]}
    return {"config": config, "volumes": volumes, "mounts": mounts}


def platform_file(resources: Resources) -> dict[str, Any]:
    (found,) = (
        entry.inputs
        for entry in resources
        if entry.typ == CONFIG_MAP_TYPE and entry.inputs["metadata"]["name"] == PLATFORM
    )
    assert found["metadata"]["namespace"] == "system-tenant"
    return dict(json.loads(found["data"][FILE]))


def test_the_names_of_metrics_are_found() -> None:
    expression = (
        'sum by (a, b) (rate(x_total{c="d_e"}[5m])) / 2 > 0 and (y:z unless y:z offset 15m) or up{job=~"p|q"} == 0'
    )
    assert metrics(expression) == {"x_total", "y:z", "up"}


def test_the_selectors_of_series_are_found() -> None:
    expression = (
        'sum by (a) (rate(x_total{b="c{d}",e=~"f"}[2m])) / clamp_min(sum(y:z), 1e-9) or on () vector(0)'
        ' or label_replace(up, "a", "$1", "b", "(.+)-c") or {__name__=~"i_.*"}'
    )
    assert selectors(expression) == {'x_total{b="c{d}",e=~"f"}', "y:z", "up", '{__name__=~"i_.*"}'}


@pytest.mark.parametrize(
    "selector",
    [
        "cortex_build_info",
        'cortex_build_info{tenant="a"}',
        'cortex_build_info{exported_job="cortex"}',
        "cortex_build_info{tenant=\"x,job='cortex'\"}",
        'cortex_build_info{job!="pods"}',
        'cortex_build_info{job=~"cortex|pods"}',
        'cortex_build_info{job=~"cortex.*"}',
        'cortex_build_info{job=~"cortex|loki"}',  # which has another one
        'cortex_request_duration_seconds_bucket{job="cortex"}',  # dropped
        'cortex_build_info{job=""}',
        'a:b{job="cortex"}',
        'ALERTS{alertstate="firing"}',
    ],
)
def test_a_selector_that_takes_series_of_others_or_none_is_found(selector: str) -> None:
    own = 'cortex_build_info{job="cortex"} * up{job=~"cortex|loki"} or a:b{job=""} or {__name__=~"k8s_.*",job="kubernetes"}'
    assert foreign(own, {"a:b"}) == set()
    assert foreign(f"sum by (tenant) (rate({selector}[5m])) / ({own})", {"a:b"}) == {selector}


def test_rules_read_only_series_of_the_platform_s_own() -> None:
    """Others may have any name and any label but `job`, so that they could raise alerts and hide them."""
    assert {rule.expr: found for rule in RULES if (found := foreign(rule.expr, RECORDED))} == {}
    assert len({name for rule in RULES for name in metrics(rule.expr)}) > 30


def test_a_further_target_cannot_have_a_job_that_rules_read() -> None:
    named = {job for rule in RULES for selector in selectors(rule.expr) for job in jobs(selector)}
    assert len(named) > 5 and named - {""} <= {*OWN_JOBS}


def made_faults() -> Iterator[tuple[str, ast.FunctionDef, set[str]]]:
    """Return the tests with the mark `fires`, each with its file and the alerts that it lets fire."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        text = file.read_text()
        for node in ast.walk(ast.parse(text)) if "mark.fires" in text else ():
            calls = [mark for mark in getattr(node, "decorator_list", []) if isinstance(mark, ast.Call)]
            named = [mark for mark in calls if ast.unparse(mark.func) == "pytest.mark.fires"]
            if isinstance(node, ast.FunctionDef) and named:
                yield file.name, node, {ast.literal_eval(name) for mark in named for name in mark.args}


def test_each_alert_fires_in_a_test_that_makes_its_fault() -> None:
    fired = set[str]()
    for file, test, alerts in made_faults():
        names = {name.id for name in ast.walk(test) if isinstance(name, ast.Name)}
        assert "expected" in names, f"{test.name} in {file} does not look at the alerts of its mark"
        fired |= alerts
    assert fired == {alert.name for alert in ALERTS}


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    titles = re.findall(r"^### (.+)$", (ROOT / RUNBOOKS).read_text(), re.MULTILINE)
    names = [alert.name for alert in ALERTS]
    assert sorted(titles) == sorted(names) and len(set(names)) == len(names)
    for alert in ALERTS:
        url = alert.as_rule("https://docs.example.com/runbooks.html")["annotations"]["runbook_url"]
        assert url == f"https://docs.example.com/runbooks.html#{alert.name.lower()}"


def test_the_page_lists_each_alert_once() -> None:
    page = (
        (ROOT / "docs/how-to/watch-the-cluster.md")
        .read_text()
        .partition("## Get alerts")[2]
        .partition("Not watched")[0]
    )
    listed = re.findall(r"`([A-Z]\w+)`", page)
    assert sorted(listed) == sorted(alert.name for alert in ALERTS)


def test_the_system_tenant_reads_its_rules_from_config_maps_and_other_tenants_theirs_from_their_bucket() -> None:
    resources = declared(settings())
    system, other = cortex(resources, "system"), cortex(resources, "tenant-default")
    folder = system["config"]["ruler_storage"]["local"]["directory"]
    assert system["config"]["ruler_storage"]["backend"] == "local" and system["config"]["ruler"]["enable_api"]
    assert system["mounts"]["rules"] == {"name": "rules", "mountPath": f"{folder}/system", "readOnly": True}
    own, platform = (source["configMap"] for source in system["volumes"]["rules"]["projected"]["sources"])
    assert own == {"name": "own-rules", "optional": True} and platform == {"name": PLATFORM}
    assert other["config"]["ruler_storage"]["backend"] == "s3" and "rules" not in {*other["volumes"], *other["mounts"]}
    names = {rule.get("alert") for group in platform_file(resources)["groups"] for rule in group["rules"]}
    assert names - {None} == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("collectors", [{"rules": {"enabled": False}}, {"metrics": False}])
def test_without_the_platform_s_rules_the_system_tenant_takes_rules_by_its_api(collectors: dict[str, Any]) -> None:
    resources = declared(settings(collectors=collectors))
    system = cortex(resources, "system")
    assert system["config"]["ruler_storage"]["backend"] == "s3" and "rules" not in system["volumes"]
    assert PLATFORM not in {entry.inputs["metadata"]["name"] for entry in resources if entry.typ == CONFIG_MAP_TYPE}


def test_the_end_of_each_limited_key_is_a_series() -> None:
    stack = settings()
    ((key, pem),) = stack["dataApi"]["publicKeys"].items()
    stack["dataApi"] = {"publicKeys": {key: {"pem": pem, "notAfter": "2030-03-17T17:46:40Z"}}}
    rules = platform_file(declared(stack))
    (group,) = (group for group in rules["groups"] if group["name"] == "keys")
    recorded, alert, _ = group["rules"]
    assert recorded["expr"] == "vector(1900000000)" and recorded["labels"] == {"key": key}
    assert alert["alert"] == "KeyExpires"


def test_the_address_of_the_runbooks_is_a_setting() -> None:
    runbooks = "https://docs.example.com/how-to/runbooks.html"
    rules = platform_file(declared(settings(collectors={"rules": {"runbooks": runbooks}})))
    urls = [
        rule["annotations"]["runbook_url"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule
    ]
    assert all(url.startswith(f"{runbooks}#") for url in urls)
    with pytest.raises(ConfigError, match=r"collectors\.rules\.runbooks"):
        from_settings(settings(collectors={"rules": {"runbooks": "a page#1"}}), "showdown")
