"""The dashboard of the volume of logs: of all tenants, and of the cluster's own."""

from components.collectors.rules.selectors import of_back_end
from scripts.dashboards.dashboard import Dashboard, Row
from scripts.dashboards.expressions import LINES_BY_TENANT, RATE, of_each_tenant, rate_by_tenant
from scripts.dashboards.panel import Query, graph, lines

_CLUSTER = '{k8s_namespace_name=~".+"}'

_TENANTS = Row(
    "All tenants",
    (
        graph(
            "Lines by tenant",
            "cps",
            "Lines that Loki accepts each second.",
            Query(LINES_BY_TENANT, "{{tenant}}"),
            stacked=True,
        ),
        graph(
            "Bytes by tenant",
            "Bps",
            "Bytes of lines that Loki accepts each second.",
            Query(of_each_tenant(rate_by_tenant("loki_distributor_bytes_received_total")), "{{tenant}}"),
            stacked=True,
        ),
        graph(
            "Streams by tenant",
            "short",
            "Streams in memory. Each takes memory and an entry of the index.",
            Query(of_each_tenant(f"sum by (tenant) ({of_back_end('loki_ingester_memory_streams')})"), "{{tenant}}"),
        ),
        graph(
            "Refused lines",
            "cps",
            "Lines that Loki refuses each second, by tenant and reason.",
            Query(
                of_each_tenant(f"sum by (tenant, reason) (rate({of_back_end('loki_discarded_samples_total')}{RATE}))"),
                "{{tenant}} {{reason}}",
            ),
        ),
    ),
)
_OWN = Row(
    "The cluster's own, in the system tenant",
    (
        graph(
            "Lines by namespace",
            "cps",
            "Lines each second that the containers of a namespace write.",
            Query(
                f"topk(10, sum by (k8s_namespace_name) (rate({_CLUSTER} [$__interval])))",
                "{{k8s_namespace_name}}",
                "logs",
            ),
            stacked=True,
        ),
        graph(
            "Bytes by container",
            "Bps",
            "Bytes of lines each second, of the ten containers with the most.",
            Query(
                f"topk(10, sum by (k8s_namespace_name, k8s_container_name) (bytes_rate({_CLUSTER} [$__interval])))",
                "{{k8s_namespace_name}} {{k8s_container_name}}",
                "logs",
            ),
            stacked=True,
        ),
        lines("Newest lines", "The newest lines of all containers.", Query(_CLUSTER, source="logs")),
    ),
)
LOGS = Dashboard(
    "logs",
    "Opstrace: volume of logs",
    "Which tenants, namespaces and containers write how many lines and bytes.",
    (_TENANTS, _OWN),
)
