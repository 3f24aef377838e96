"""The dashboard of the instance: what is ready, what it uses, and whether its own data arrives."""

from components.collectors.rules.gateway import REQUESTS
from components.collectors.rules.selectors import series
from components.collectors.rules.storage import free_share
from components.core.names import GATEWAY_NAMESPACE
from scripts.dashboards.dashboard import Dashboard, Row
from scripts.dashboards.expressions import (
    OR_ZERO,
    RATE,
    SCRAPED_CORTEX,
    TENANT_NAMESPACES,
    cpu,
    memory,
    rate_by_tenant,
    share,
)
from scripts.dashboards.panel import Query, graph, number

_ANSWERS = f"envoy_http_downstream_rq_xx_total{{{REQUESTS}"
_OF_GATEWAY = f'namespace="{GATEWAY_NAMESPACE}"'
_NODES = series("kubernetes", "k8s_node_condition_ready")


def _lost(counter: str, what: str) -> Query:
    return Query(f"sum(rate({series('collector', counter)}{RATE})) {OR_ZERO}", what)


_NOW = Row(
    "Now",
    (
        number(
            "Tenants",
            "short",
            "Tenants whose Cortex the collectors scrape, the system tenant included.",
            Query(f"count(count by (tenant) ({SCRAPED_CORTEX}))"),
        ),
        number(
            "Pods of tenants not ready",
            "short",
            "Pods of Cortex, Loki and Alertmanagers that their StatefulSets lack.",
            Query(
                f"sum({series('kubernetes', 'k8s_statefulset_desired_pods', TENANT_NAMESPACES)})"
                f" - sum({series('kubernetes', 'k8s_statefulset_ready_pods', TENANT_NAMESPACES)})"
            ),
            bad_from=1,
        ),
        number(
            "Gateway pods not ready",
            "short",
            "Pods that the gateway's Deployment lacks.",
            Query(
                f"sum({series('kubernetes', 'k8s_deployment_desired', _OF_GATEWAY)})"
                f" - sum({series('kubernetes', 'k8s_deployment_available', _OF_GATEWAY)})"
            ),
            bad_from=1,
        ),
        number(
            "Nodes not ready",
            "short",
            "Nodes whose condition Ready is not true.",
            Query(f"count({_NODES}) - sum({_NODES} == 1)"),
            bad_from=1,
        ),
        number(
            "Errors of the gateway",
            "percentunit",
            "Share of the answers with status 5xx.",
            Query(
                share(f'sum(rate({_ANSWERS},envoy_response_code_class="5"}}{RATE}))', f"sum(rate({_ANSWERS}}}{RATE}))")
            ),
            bad_from=0.01,
        ),
        number(
            "Age of the newest sample",
            "s",
            "How long ago a collector scraped its own metrics, as each does every 30 seconds.",
            Query(f"time() - max(timestamp({series('collector', 'up')}))"),
            bad_from=300,
        ),
    ),
)
_USE = Row(
    "Use of the cluster",
    (
        graph(
            "CPU by namespace",
            "short",
            "Cores that containers use, of the ten namespaces with the most.",
            Query(f"topk(10, sum by (namespace) ({cpu()}))", "{{namespace}}"),
            stacked=True,
        ),
        graph(
            "Memory by namespace",
            "bytes",
            "Working sets of containers, of the ten namespaces with the most.",
            Query(f"topk(10, sum by (namespace) ({memory()}))", "{{namespace}}"),
            stacked=True,
        ),
        graph(
            "Fullest volumes",
            "percentunit",
            "Used share of volumes, of the ten fullest.",
            Query(
                f"topk(10, 1 - max by (namespace, persistentvolumeclaim) ({free_share()}))",
                "{{namespace}} {{persistentvolumeclaim}}",
            ),
        ),
        graph(
            "Restarts of containers",
            "short",
            "Restarts in an hour, of the ten containers with the most.",
            Query(
                "topk(10, sum by (namespace, container)"
                f" (increase({series('kubernetes', 'k8s_container_restarts')}[1h])))",
                "{{namespace}} {{container}}",
            ),
        ),
    ),
)
_TENANTS = Row(
    "What tenants send",
    (
        graph(
            "Samples",
            "cps",
            "Samples that Cortex accepts each second, of the ten tenants with the most.",
            Query(f"topk(10, {rate_by_tenant('cortex_distributor_received_samples_total')})", "{{tenant}}"),
            stacked=True,
        ),
        graph(
            "Bytes of logs",
            "Bps",
            "Bytes of lines that Loki accepts each second, of the ten tenants with the most.",
            Query(f"topk(10, {rate_by_tenant('loki_distributor_bytes_received_total')})", "{{tenant}}"),
            stacked=True,
        ),
    ),
)
_COLLECTORS = Row(
    "Collectors",
    (
        graph(
            "Waiting to be sent",
            "bytes",
            "What collectors keep on their nodes until the system tenant takes it.",
            Query(
                f"sum by (node, collector, data_type) ({series('collector', 'otelcol_exporter_queue_size')})",
                "{{node}} {{collector}} {{data_type}}",
            ),
        ),
        graph(
            "Lost",
            "cps",
            "Lines and samples that the system tenant refused for good, and samples that found no room on their node.",
            _lost("otelcol_exporter_send_failed_log_records_total", "lines"),
            _lost("otelcol_exporter_send_failed_metric_points_total", "samples"),
            _lost("otelcol_exporter_enqueue_failed_metric_points_total", "samples without room"),
        ),
    ),
)
INSTANCE = Dashboard(
    "instance",
    "Opstrace: instance",
    "What of the instance is ready, what it uses, and whether its own data arrives.",
    (_NOW, _USE, _TENANTS, _COLLECTORS),
)
