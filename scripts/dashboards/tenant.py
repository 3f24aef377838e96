"""The dashboard of one tenant: what it sends, what it asks, and its pods."""

from components.collectors.rules.selectors import of_back_end
from components.collectors.rules.storage import free_share
from scripts.dashboards.dashboard import Dashboard, Row, tenant_variable
from scripts.dashboards.expressions import OR_ZERO, RATE, access_log_of
from scripts.dashboards.panel import WHOLE_WIDTH, Query, graph
from scripts.dashboards.pods import use_of_pods

_OWN = 'tenant="$tenant"'
_PODS = 'namespace="$tenant-tenant"'
_THIRD = WHOLE_WIDTH // 3
_READS = 'route=~"(prometheus|api_prom)_api_v1_(query.*|series|label.*)"'
_LOG_READS = 'route=~"loki_api_v1_(query|query_range|labels|label_name_values|series|index_.*)"'


def _own(metric: str, *matchers: str) -> str:
    """Return the selector of a metric of the tenant's back ends."""
    return of_back_end(metric, _OWN, *matchers)


def _rate(counter: str, *matchers: str) -> str:
    return f"rate({_own(counter, *matchers)}{RATE})"


def _mean(metric: str, labels: str) -> str:
    """Return the mean seconds of a request, 0 where there was none."""
    seconds, requests = (f"sum({_rate(f'{metric}_{part}', labels)})" for part in ("sum", "count"))
    return f"{seconds} / clamp_min({requests}, 1e-9) {OR_ZERO}"


_METRICS = Row(
    "Metrics",
    (
        graph(
            "Samples",
            "cps",
            "Samples each second that clients sent and Cortex accepted, and those that it refused, by the reason.",
            Query(f"sum({_rate('cortex_distributor_received_samples_total')}) {OR_ZERO}", "accepted"),
            Query(f"sum by (reason) ({_rate('cortex_discarded_samples_total')}) {OR_ZERO}", "refused {{reason}}"),
        ),
        graph(
            "Active series",
            "short",
            "Series in the memory of each pod of Cortex.",
            Query(f"sum by (pod) ({_own('cortex_ingester_memory_series')})", "{{pod}}"),
        ),
        graph(
            "Queries of metrics",
            "reqps",
            "Queries each second, of clients and Grafana.",
            Query(f"sum({_rate('cortex_query_frontend_queries_total')}) {OR_ZERO}", "queries"),
        ),
        graph(
            "Time of a query of metrics",
            "s",
            "Mean time of a request to the query API of Prometheus.",
            Query(_mean("cortex_request_duration_seconds", _READS), "mean"),
        ),
    ),
)
_LOGS = Row(
    "Logs",
    (
        graph(
            "Lines",
            "cps",
            "Lines each second that Loki accepted, and those that it refused, by the reason.",
            Query(f"sum({_rate('loki_distributor_lines_received_total')}) {OR_ZERO}", "accepted"),
            Query(f"sum by (reason) ({_rate('loki_discarded_samples_total')}) {OR_ZERO}", "refused {{reason}}"),
        ),
        graph(
            "Active streams",
            "short",
            "Streams in the memory of each pod of Loki.",
            Query(f"sum by (pod) ({_own('loki_ingester_memory_streams')}) {OR_ZERO}", "{{pod}}"),
        ),
        graph(
            "Queries of logs",
            "reqps",
            "Requests each second to the query API of Loki.",
            Query(
                f"sum by (route) ({_rate('loki_request_duration_seconds_count', _LOG_READS)}) {OR_ZERO}",
                "{{route}}",
            ),
        ),
        graph(
            "Time of a query of logs",
            "s",
            "Mean time of a request to the query API of Loki.",
            Query(_mean("loki_request_duration_seconds", _LOG_READS), "mean"),
        ),
    ),
)
_AT_THE_GATEWAY = access_log_of("$tenant")
_GATEWAY = Row(
    "At the gateway",
    (
        graph(
            "Requests by status",
            "reqps",
            "Requests of the tenant each second, by the access log.",
            Query(
                f"sum by (api, status) (rate({_AT_THE_GATEWAY} [$__interval])) {OR_ZERO}", "{{api}} {{status}}", "logs"
            ),
        ),
        graph(
            "Bytes of requests",
            "Bps",
            "Bytes of request bodies each second, as clients send them, compressed.",
            Query(
                f"sum by (api) (sum_over_time({_AT_THE_GATEWAY} | unwrap bytes_received [$__interval]))"
                f" / ($__interval_ms / 1000) {OR_ZERO}",
                "{{api}}",
                "logs",
            ),
        ),
    ),
)
_POD = Row(
    "Pods",
    (
        *use_of_pods(_PODS, _THIRD),
        graph(
            "Used volumes",
            "percentunit",
            "Used share of each volume.",
            Query(
                f"1 - max by (persistentvolumeclaim) ({free_share(_PODS)})",
                "{{persistentvolumeclaim}}",
            ),
            width=_THIRD,
        ),
    ),
)
TENANT = Dashboard(
    "tenant",
    "Opstrace: tenant",
    "What one tenant sends and asks, what of it is refused, and what its pods use.",
    (_METRICS, _LOGS, _GATEWAY, _POD),
    (tenant_variable(),),
)
