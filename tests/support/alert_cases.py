"""Cases of the platform's alerts for `promtool test rules`: series with the fault and without, and what the alert says."""

from collections.abc import Mapping
from dataclasses import dataclass

RESTARTS = 'k8s_container_restarts{job="kubernetes",namespace="a-tenant",pod="loki-0",container="loki"}'
GATEWAY = 'job="kubernetes",namespace="opstrace",deployment="gateway"'
SET = 'job="kubernetes",namespace="a-tenant",statefulset="loki"'
CLAIM = 'job="kubelet",namespace="a-tenant",persistentvolumeclaim="data-loki-0"'
OF_TENANT = 'job="%s",tenant="a",pod="%s-0"'
OF_CORTEX = OF_TENANT % ("cortex", "cortex")
OF_ALERTMANAGER = OF_TENANT % ("alertmanager", "alertmanager")
NODE = 'job="kubernetes",node="n1"'
KUBELET = 'job="kubelet",node="n1"'
TOKEN_ENDS = 'envoy_http_rbac_shadow_allowed_total{job="gateway",envoy_http_conn_manager_prefix="gateway",envoy_rbac_http_prefix="token_ends_",instance="%s"}'
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


def compaction(alert: str, metric: str, job: str, summary: str, labels: tuple[str, ...] = ("",)) -> Case:
    """Return the case of a compactor whose last success was at the second 60, while its process ran.

    Its series have the first of the `labels`. Those with the others succeed all the time.
    """
    program = OF_TENANT % (job, job)
    (series, *others) = (f"{metric}{{{program}{label}}}" for label in labels)
    started = f"process_start_time_seconds{{{program}}}"
    return Case(
        alert=alert,
        fault={series: "60x220", started: "1x220"} | dict.fromkeys(others, "60+60x220"),
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
        labels={"job": "kubernetes", "namespace": "opstrace", "deployment": "gateway"},
        summary="No pod of the gateway is ready: nobody reaches any tenant.",
    ),
    Case(
        alert="GatewayDegraded",
        fault={f"k8s_deployment_available{{{GATEWAY}}}": "1x30", f"k8s_deployment_desired{{{GATEWAY}}}": "2x30"},
        healthy={f"k8s_deployment_available{{{GATEWAY}}}": "2x30", f"k8s_deployment_desired{{{GATEWAY}}}": "2x30"},
        minute=20,
        labels={"job": "kubernetes", "namespace": "opstrace", "deployment": "gateway"},
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
        fault={RESTARTS: "0x10 1x5 2x5 4x20"},
        healthy={RESTARTS: "4x10 5x30"},
        minute=31,
        labels={"job": "kubernetes", "namespace": "a-tenant", "pod": "loki-0", "container": "loki"},
        summary="loki of loki-0 in a-tenant restarts again and again.",
    ),
    Case(
        alert="RulesFailing",
        fault={f"cortex_prometheus_rule_evaluation_failures_total{{{OF_CORTEX}}}": "0+1x40"},
        healthy={f"cortex_prometheus_rule_evaluation_failures_total{{{OF_CORTEX}}}": "7x40"},
        minute=30,
        labels={"tenant": "a"},
        summary="Rules of the tenant a cannot be evaluated.",
    ),
    Case(
        alert="NotificationsFailing",
        fault={f"cortex_alertmanager_notifications_failed_total{{{OF_ALERTMANAGER}}}": "0+1x40"},
        healthy={f"cortex_alertmanager_notifications_failed_total{{{OF_ALERTMANAGER}}}": "7x40"},
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
        fault={f"cortex_ingester_shipper_upload_failures_total{{{OF_CORTEX}}}": "0+1x60"},
        healthy={f"cortex_ingester_shipper_upload_failures_total{{{OF_CORTEX}}}": "0x20 1x40"},
        minute=50,
        labels={"tenant": "a"},
        summary="Data of the tenant a does not get into its bucket.",
    ),
    Case(
        alert="UploadsFailing",
        fault={f"cortex_ingester_shipper_dir_sync_failures_total{{{OF_CORTEX}}}": "0+1x60"},
        healthy={f"cortex_ingester_shipper_dir_sync_failures_total{{{OF_CORTEX}}}": "0x20 1x40"},
        minute=50,
        labels={"tenant": "a"},
        summary="Data of the tenant a does not get into its bucket.",
    ),
    Case(
        alert="DeletionsFailing",
        fault={f"cortex_compactor_block_cleanup_failures_total{{{OF_CORTEX}}}": "0+1x200"},
        healthy={f"cortex_compactor_block_cleanup_failures_total{{{OF_CORTEX}}}": "7x200"},
        minute=190,
        labels={"tenant": "a"},
        summary="Old data of the tenant a cannot be deleted from its bucket.",
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
        (',user_status="active"', ',user_status="deleted"'),
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
        fault={f"k8s_node_condition_ready{{{NODE}}}": "-1x10"},
        healthy={f"k8s_node_condition_ready{{{NODE}}}": "1x10"},
        minute=8,
        labels={"job": "kubernetes", "node": "n1"},
        summary="The node n1 is not ready.",
    ),
    Case(
        alert="NodeUnderPressure",
        fault={f"k8s_node_condition_disk_pressure{{{NODE}}}": "1x10"},
        healthy={f"k8s_node_condition_disk_pressure{{{NODE}}}": "0x10"},
        minute=8,
        labels={"job": "kubernetes", "node": "n1"},
        summary="The node n1 is short of memory, disk or process ids, and may evict pods.",
    ),
    Case(
        alert="NodeCertificateExpires",
        fault={f"kubelet_certificate_manager_client_ttl_seconds{{{KUBELET}}}": "187200-60x100"},
        healthy={f"kubelet_certificate_manager_client_ttl_seconds{{{KUBELET}}}": "6048000x100"},
        minute=70,
        labels={"job": "kubelet", "node": "n1"},
        summary="A certificate of the kubelet of n1 ends in 2d 2h 50m 0s.",
    ),
    Case(
        alert="NodeCertificateExpires",
        fault={f"kubelet_certificate_manager_server_ttl_seconds{{{KUBELET}}}": "187200-60x100"},
        healthy={
            f"kubelet_certificate_manager_server_ttl_seconds{{{KUBELET}}}": "390000-60x100"
        },  # on EKS, before a renewal
        minute=70,
        labels={"job": "kubelet", "node": "n1"},
        summary="A certificate of the kubelet of n1 ends in 2d 2h 50m 0s.",
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
        alert="TokenExpires",
        fault={TOKEN_ENDS % "a": "_x20 3x60"},  # the first such request of a gateway's pod
        healthy={TOKEN_ENDS % "a": "7x8 _x12 7x100"},  # the last one was before that, and samples are missing
        minute=75,
        labels={},
        summary="Clients use tokens that end within 7 days.",
    ),
    Case(
        alert="TokenExpires",
        fault={TOKEN_ENDS % "a": "3x60 4x60"},
        healthy={TOKEN_ENDS % "b": "0x120"},
        minute=100,
        labels={},
        summary="Clients use tokens that end within 7 days.",
    ),
]
NEVER = compaction(
    "LogsRetentionFailing",
    "loki_compactor_apply_retention_last_successful_run_timestamp_seconds",
    "loki",
    "Old lines of the tenant a were last deleted 3h 19m 59s ago.",
)
