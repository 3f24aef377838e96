"""The platform's rules, by `promtool test rules`: each alert fires with the fault, and not without it.

An annotated pod changes neither, although it exposes the same series with a `job` that it cannot choose.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.collectors.rules.file import RUNBOOKS, groups, rule_file
from components.collectors.rules.rule import Alert, Group
from components.config.tenant import TenantSettings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support import alert_cases, collector_alert_cases
from tests.support.alert_cases import NEVER, Case
from tests.support.backend import TENANT, Backend
from tests.support.shell import run

CASES = [*alert_cases.CASES, *collector_alert_cases.CASES]
KEYS = {"k1": 86400 + 60, "k2": 400 * 86400}  # when they end; promtool's clock starts at 0
GROUPS = groups(KEYS)
ALERTS = [rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)]
ALWAYS = {"Watchdog", "KeyExpires"}  # of the key that ends soon, not of the other
# What a pod would expose in place of recorded series.
RAISING = {
    'gateway:errors:ratio5m{job="pods"}': "1x200",
    'gateway:answers:rate5m{job="pods",envoy_response_code_class="5"}': "9x200",
    'opstrace_key_not_after_seconds{job="pods",key="k3"}': "60x200",
}
HIDING = {'gateway:answers:rate5m{job="pods",envoy_response_code_class="2"}': "9000x200"}


def unit_test(case: Case, series: Mapping[str, str], minute: int, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one test of promtool's file."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": case.alert, "exp_alerts": alerts}],
    }


def alert_of(case: Case) -> Alert:
    (alert,) = (each for each in ALERTS if each.name == case.alert)
    return alert


def expected(case: Case) -> list[dict[str, Any]]:
    """Return the alert of a case, as promtool compares it."""
    alert = alert_of(case)
    annotations = {"summary": case.summary, "runbook_url": f"{RUNBOOKS}#{case.alert.lower()}"}
    return [{"exp_labels": {**case.labels, "severity": alert.severity}, "exp_annotations": annotations}]


def of_a_pod(series: Mapping[str, str]) -> dict[str, str]:
    """Return these series as an annotated pod can expose them."""
    return {re.sub(r'\bjob="\w+"', 'job="pods"', name): values for name, values in series.items()}


def unit_tests(case: Case) -> list[dict[str, Any]]:
    """Return the tests of a case: with the fault, before it has lasted for long enough, and without; with a pod's series too."""
    tests = [
        unit_test(case, {**case.fault, **others}, case.minute, expected(case))
        for others in ({}, of_a_pod(case.healthy) | HIDING)
    ]
    if minutes := alert_of(case).minutes:
        tests.append(unit_test(case, case.fault, minutes - 1, []))
    without = expected(case) if case.alert in ALWAYS else []
    raised = of_a_pod(case.fault) | RAISING
    return [*tests, *(unit_test(case, {**case.healthy, **others}, case.minute, without) for others in ({}, raised))]


def write_group(folder: Path, group: Group) -> str:
    """Write a group and the tests of its alerts, and return the name of the file with the tests.

    A group has a file of its own, because promtool evaluates all rules of a file in each test.
    """
    names = {rule.name for rule in group.rules if isinstance(rule, Alert)}
    tests = [test for case in CASES if case.alert in names for test in unit_tests(case)]
    if NEVER.alert in names:
        started = {name: values for name, values in NEVER.fault.items() if "start" in name}
        tests.append(unit_test(NEVER, started, NEVER.minute, expected(NEVER)))
    (folder / f"{group.name}.yaml").write_text(json.dumps({"groups": [group.as_group(RUNBOOKS)]}))
    file = {"rule_files": [f"{group.name}.yaml"], "evaluation_interval": "1m", "tests": tests}
    (folder / f"{group.name}-tests.yaml").write_text(json.dumps(file))
    return f"{group.name}-tests.yaml"


def promtool(folder: Path, *words: str) -> None:
    """Run promtool in a folder; fail if it finds a fault."""
    done = run(str(ensure(catalog.PROMETHEUS) / "promtool"), *words, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    (tmp_path / "platform.yaml").write_text(rule_file(KEYS))
    promtool(tmp_path, "check", "rules", "platform.yaml")


def test_each_alert_fires_with_its_fault_and_not_without(tmp_path: Path) -> None:
    assert {case.alert for case in CASES} == {alert.name for alert in ALERTS}
    promtool(tmp_path, "test", "rules", *(write_group(tmp_path, group) for group in GROUPS))


class CortexWithRules(Backend):
    """A Cortex with the platform's rules."""

    rules = rule_file(KEYS)


@pytest.fixture
def cortex(s3: tuple[str, Any], tmp_path: Path) -> Iterator[Backend]:
    server = CortexWithRules("cortex", tmp_path, s3[0], TenantSettings())
    yield server
    server.kill()


def test_cortex_reads_the_mounted_rules_evaluates_them_and_takes_none_by_its_api(
    cortex: Backend,
) -> None:
    cortex.start()

    def loaded() -> dict[str, list[str]]:
        status, text = cortex.ask("GET", "/prometheus/api/v1/rules")
        found = json.loads(text)["data"]["groups"] if status == 200 else []
        return {group["name"]: [rule["name"] for rule in group["rules"]] for group in found}

    expected = {
        group.name: [rule.name if isinstance(rule, Alert) else rule.record for rule in group.rules] for group in GROUPS
    }
    cortex.until(lambda: loaded() == expected)
    for alert in ALERTS:
        status, text = cortex.ask("GET", "/prometheus/api/v1/query", fields={"query": alert.expr})
        assert status == 200, (alert.name, text)
    group = json.dumps({"name": "a", "rules": [{"record": "a:b", "expr": "1"}]})
    status, text = cortex.ask("POST", "/api/v1/rules/team", body=group, headers={"X-Scope-OrgID": TENANT})
    assert status == 500 and "unsupported" in text
