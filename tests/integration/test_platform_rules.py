"""The platform's rules, by `promtool test rules`: each alert fires with the fault, and not without it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.collectors.rules.file import RUNBOOKS, groups, rule_file
from components.collectors.rules.rule import Alert, Group
from components.config.tenant import TenantSettings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.backend import TENANT, Backend
from tests.support.shell import run

KEYS = {"k1": 86400 + 60, "k2": 400 * 86400}  # when they end; promtool's clock starts at 0
GROUPS = groups(KEYS)
ALERTS = [rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)]
DAEMON_SET = 'namespace="opstrace-collectors",daemonset="node-collector"'
GATEWAY = 'namespace="opstrace",deployment="gateway"'
SET = 'namespace="a-tenant",statefulset="loki"'
CLAIM = 'namespace="a-tenant",persistentvolumeclaim="data-loki-0"'
OF_TENANT = 'tenant="a",pod="cortex-0"'
QUEUE = 'job="collector",collector="node-collector",node="n1",exporter="otlp_http/logs"'
ANSWERS = 'envoy_http_downstream_rq_xx_total{job="gateway",envoy_http_conn_manager_prefix="gateway",envoy_response_code_class="%s"}'


@dataclass(frozen=True, kw_only=True)
class Case:
    """One alert: series a minute, in promtool's notation, with the fault and without, and what the alert says.

    Attributes:
        minute: When the alert is looked at.
        labels: The labels of the alert beside its name and its severity.
    """

    alert: str
    fault: Mapping[str, str]
    healthy: Mapping[str, str]
    minute: int
    labels: Mapping[str, str]
    summary: str


def compaction(alert: str, metric: str, job: str, summary: str, label: str = "") -> Case:
    """Return the case of a compactor whose last success was at the second 60, while its process ran."""
    series, started = f"{metric}{{{OF_TENANT}{label}}}", f'process_start_time_seconds{{{OF_TENANT},job="{job}"}}'
    return Case(
        alert=alert,
        fault={series: "60x220", started: "1x220"},
        healthy={series: "60+60x220", started: "1x220"},
        minute=200,
        labels={"tenant": "a"},
        summary=summary,
    )


CASES = [
    Case(
        alert="GatewayErrors",
        fault={ANSWERS % 5: "0+60x30", ANSWERS % 2: "0+540x30"},
        healthy={ANSWERS % 5: "0+1x30", ANSWERS % 2: "0+540x30"},
        minute=20,
        labels={},
        summary="10% of the gateway's answers are errors of the server (5xx).",
    ),
    Case(
        alert="GatewayDown",
        fault={f"k8s_deployment_available{{{GATEWAY}}}": "2 0x5"},
        healthy={f"k8s_deployment_available{{{GATEWAY}}}": "1x5"},
        minute=4,
        labels={"namespace": "opstrace", "deployment": "gateway"},
        summary="No pod of the gateway is ready: nobody reaches any tenant.",
    ),
    Case(
        alert="GatewayDegraded",
        fault={f"k8s_deployment_available{{{GATEWAY}}}": "1x30", f"k8s_deployment_desired{{{GATEWAY}}}": "2x30"},
        healthy={f"k8s_deployment_available{{{GATEWAY}}}": "2x30", f"k8s_deployment_desired{{{GATEWAY}}}": "2x30"},
        minute=20,
        labels={"namespace": "opstrace", "deployment": "gateway"},
        summary="Only 1 pods of the gateway are ready.",
    ),
    Case(
        alert="TenantNotReady",
        fault={f"k8s_statefulset_ready_pods{{{SET}}}": "2x30", f"k8s_statefulset_desired_pods{{{SET}}}": "3x30"},
        healthy={f"k8s_statefulset_ready_pods{{{SET}}}": "3x30", f"k8s_statefulset_desired_pods{{{SET}}}": "3x30"},
        minute=15,
        labels={"namespace": "a-tenant", "statefulset": "loki"},
        summary="loki in a-tenant has only 2 ready pods.",
    ),
    Case(
        alert="BackEndNotScraped",
        fault={'up{job="loki",namespace="a-tenant",pod="loki-0"}': "0x20"},
        healthy={'up{job="loki",namespace="a-tenant",pod="loki-0"}': "0x5 1x15"},
        minute=15,
        labels={"job": "loki", "namespace": "a-tenant", "pod": "loki-0"},
        summary="loki-0 in a-tenant does not give its metrics.",
    ),
    Case(
        alert="ContainerRestarts",
        fault={'k8s_container_restarts{namespace="a-tenant",pod="loki-0",container="loki"}': "0x10 1x5 2x5 4x20"},
        healthy={'k8s_container_restarts{namespace="a-tenant",pod="loki-0",container="loki"}': "4x10 5x30"},
        minute=31,
        labels={"namespace": "a-tenant", "pod": "loki-0", "container": "loki"},
        summary="loki of loki-0 in a-tenant restarts again and again.",
    ),
    Case(
        alert="RulesFailing",
        fault={f"cortex_prometheus_rule_evaluation_failures_total{{{OF_TENANT}}}": "0+1x40"},
        healthy={f"cortex_prometheus_rule_evaluation_failures_total{{{OF_TENANT}}}": "7x40"},
        minute=30,
        labels={"tenant": "a"},
        summary="Rules of the tenant a cannot be evaluated.",
    ),
    Case(
        alert="NotificationsFailing",
        fault={f"cortex_alertmanager_notifications_failed_total{{{OF_TENANT}}}": "0+1x40"},
        healthy={f"cortex_alertmanager_notifications_failed_total{{{OF_TENANT}}}": "7x40"},
        minute=20,
        labels={"tenant": "a"},
        summary="Alerts of the tenant a do not reach their receiver.",
    ),
    Case(
        alert="VolumeFillingUp",
        fault={
            f"kubelet_volume_stats_available_bytes{{{CLAIM}}}": "10x30",
            f"kubelet_volume_stats_capacity_bytes{{{CLAIM}}}": "100x30",
        },
        healthy={
            f"kubelet_volume_stats_available_bytes{{{CLAIM}}}": "20x30",
            f"kubelet_volume_stats_capacity_bytes{{{CLAIM}}}": "100x30",
        },
        minute=20,
        labels={"namespace": "a-tenant", "persistentvolumeclaim": "data-loki-0"},
        summary="data-loki-0 in a-tenant is 90% full.",
    ),
    Case(
        alert="VolumeFull",
        fault={
            f"kubelet_volume_stats_available_bytes{{{CLAIM}}}": "2x30",
            f"kubelet_volume_stats_capacity_bytes{{{CLAIM}}}": "100x30",
        },
        healthy={
            f"kubelet_volume_stats_available_bytes{{{CLAIM}}}": "10x30",
            f"kubelet_volume_stats_capacity_bytes{{{CLAIM}}}": "100x30",
        },
        minute=5,
        labels={"namespace": "a-tenant", "persistentvolumeclaim": "data-loki-0"},
        summary="data-loki-0 in a-tenant is 98% full.",
    ),
    Case(
        alert="UploadsFailing",
        fault={f"cortex_ingester_shipper_upload_failures_total{{{OF_TENANT}}}": "0+1x60"},
        healthy={f"cortex_ingester_shipper_upload_failures_total{{{OF_TENANT}}}": "0x20 1x40"},
        minute=50,
        labels={"tenant": "a"},
        summary="Data of the tenant a does not get into its bucket.",
    ),
    compaction(
        "MetricsCompactionFailing",
        "cortex_compactor_last_successful_run_timestamp_seconds",
        "cortex",
        "Blocks of the tenant a were last compacted 3h 19m 0s ago.",
    ),
    compaction(
        "MetricsRetentionFailing",
        "cortex_compactor_block_cleanup_last_successful_run_timestamp_seconds",
        "cortex",
        "Old blocks of the tenant a were last deleted 3h 19m 0s ago.",
        ',user_status="active"',
    ),
    compaction(
        "LogsCompactionFailing",
        "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds",
        "loki",
        "The index of the tenant a was last compacted 3h 19m 0s ago.",
    ),
    compaction(
        "LogsRetentionFailing",
        "loki_compactor_apply_retention_last_successful_run_timestamp_seconds",
        "loki",
        "Old lines of the tenant a were last deleted 3h 19m 0s ago.",
    ),
    Case(
        alert="NodeNotReady",
        fault={'k8s_node_condition_ready{node="n1"}': "-1x10"},
        healthy={'k8s_node_condition_ready{node="n1"}': "1x10"},
        minute=8,
        labels={"node": "n1"},
        summary="The node n1 is not ready.",
    ),
    Case(
        alert="NodeUnderPressure",
        fault={'k8s_node_condition_disk_pressure{node="n1"}': "1x10"},
        healthy={'k8s_node_condition_disk_pressure{node="n1"}': "0x10"},
        minute=8,
        labels={"node": "n1"},
        summary="The node n1 is short of memory, disk or process ids, and may evict pods.",
    ),
    Case(
        alert="NodeCertificateExpires",
        fault={'kubelet_certificate_manager_client_expiration_seconds{node="n1"}': "187200x100"},
        healthy={'kubelet_certificate_manager_client_expiration_seconds{node="n1"}': "6048000x100"},
        minute=70,
        labels={"node": "n1"},
        summary="The kubelet of n1 cannot speak to the cluster in 2d 2h 50m 0s.",
    ),
    Case(
        alert="KeyExpires",
        fault={},
        healthy={},
        minute=1,
        labels={"key": "k1"},
        summary="Tokens of the key k1 are refused in 1d 0h 0m 0s.",
    ),
    Case(
        alert="Watchdog",
        fault={},
        healthy={},
        minute=1,
        labels={},
        summary="Always fires. If your receiver gets it no longer, alerts do not arrive.",
    ),
    Case(
        alert="ClusterMetricsOld",
        fault={'k8s_node_condition_ready{node="n1"}': "1x20", 'up{job="kubelet",node="n1"}': "1x10"},
        healthy={'k8s_node_condition_ready{node="n1"}': "1x20", 'up{job="kubelet",node="n1"}': "1x11"},
        minute=16,
        labels={"node": "n1"},
        summary="The newest metrics of the node n1 are older than 5 minutes.",
    ),
    Case(
        alert="ClusterLogsOld",
        fault={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "5x20",
            f"otelcol_exporter_sent_log_records_total{{{QUEUE}}}": "9x20",
        },
        healthy={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "5x20",
            f"otelcol_exporter_sent_log_records_total{{{QUEUE}}}": "0+1x20",
        },
        minute=10,
        labels={"collector": "node-collector", "node": "n1"},
        summary="The collector of n1 has lines that it could not send for 5 minutes.",
    ),
    Case(
        alert="CollectorDown",
        fault={
            f"k8s_daemonset_ready_nodes{{{DAEMON_SET}}}": "1x20",
            f"k8s_daemonset_desired_scheduled_nodes{{{DAEMON_SET}}}": "2x20",
        },
        healthy={
            f"k8s_daemonset_ready_nodes{{{DAEMON_SET}}}": "2x20",
            f"k8s_daemonset_desired_scheduled_nodes{{{DAEMON_SET}}}": "2x20",
        },
        minute=15,
        labels={"namespace": "opstrace-collectors", "daemonset": "node-collector"},
        summary="Collectors run on 1 nodes only.",
    ),
    Case(
        alert="CollectorQueueFillingUp",
        fault={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "60x20",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        healthy={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "40x20",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        minute=10,
        labels={"job": "collector", "collector": "node-collector", "node": "n1", "exporter": "otlp_http/logs"},
        summary="The queue otlp_http/logs of n1 is 60% full.",
    ),
    Case(
        alert="CollectorLinesWait",  # the outage is over, and the queue empty
        fault={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "96x10 0x9",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        healthy={
            f"otelcol_exporter_queue_size{{{QUEUE}}}": "94x10 0x9",
            f"otelcol_exporter_queue_capacity{{{QUEUE}}}": "100x20",
        },
        minute=20,
        labels={"collector": "node-collector", "node": "n1", "exporter": "otlp_http/logs"},
        summary="Lines of n1 waited in their files in the last 15 minutes: otlp_http/logs had no room.",
    ),
    Case(
        alert="CollectorLinesWait",  # the disk of the queue was full
        fault={f"otelcol_exporter_enqueue_failed_log_records_total{{{QUEUE}}}": "_x10 100x20"},
        healthy={f"otelcol_exporter_enqueue_failed_log_records_total{{{QUEUE}}}": "100x40"},
        minute=20,
        labels={"collector": "node-collector", "node": "n1", "exporter": "otlp_http/logs"},
        summary="Lines of n1 waited in their files in the last 15 minutes: otlp_http/logs had no room.",
    ),
    Case(
        alert="CollectorDataLost",
        fault={f"otelcol_exporter_send_failed_log_records_total{{{QUEUE}}}": "_x10 7x20"},
        healthy={f"otelcol_exporter_send_failed_log_records_total{{{QUEUE}}}": "7x40"},
        minute=20,
        labels={"collector": "node-collector", "node": "n1", "exporter": "otlp_http/logs"},
        summary="7 lines or samples of n1 were lost by otlp_http/logs in 15 minutes.",
    ),
]
NEVER = compaction(
    "LogsRetentionFailing",
    "loki_compactor_apply_retention_last_successful_run_timestamp_seconds",
    "loki",
    "Old lines of the tenant a were last deleted 3h 19m 59s ago.",
)
ALWAYS = {"Watchdog", "KeyExpires"}  # of the key that ends soon, not of the other


def unit_test(case: Case, series: Mapping[str, str], minute: int, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one test of promtool's file."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": case.alert, "exp_alerts": alerts}],
    }


def expected(case: Case) -> list[dict[str, Any]]:
    """Return the alert of a case, as promtool compares it."""
    (alert,) = (each for each in ALERTS if each.name == case.alert)
    annotations = {"summary": case.summary, "runbook_url": f"{RUNBOOKS}#{case.alert.lower()}"}
    return [{"exp_labels": {**case.labels, "severity": alert.severity}, "exp_annotations": annotations}]


def unit_tests(case: Case) -> list[dict[str, Any]]:
    """Return the tests of a case: with the fault, and without."""
    healthy = [] if case.alert in ALWAYS else [unit_test(case, case.healthy, case.minute, [])]
    return [unit_test(case, case.fault, case.minute, expected(case)), *healthy]


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
