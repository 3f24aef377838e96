"""The dashboard of the gateway: requests, refusals, back ends, and its pods."""

from components.collectors.rules.gateway import REQUESTS
from components.collectors.rules.selectors import series
from components.core.names import GATEWAY_NAMESPACE
from scripts.dashboards.dashboard import Dashboard, Row
from scripts.dashboards.expressions import ACCESS_LOG, OR_ZERO, RATE
from scripts.dashboards.panel import WHOLE_WIDTH, Query, graph
from scripts.dashboards.pods import use_of_pods

_BUCKETS = f"sum by (le) (rate(envoy_http_downstream_rq_time_bucket{{{REQUESTS}}}{RATE}))"
_PODS = f'namespace="{GATEWAY_NAMESPACE}"'
# Of the watched files, and of the one with the listener of log tails. Clusters also have an `update_failure`: of name resolution.
_SOURCES = "extension_config_discovery|listener_manager"
REFUSED_CHANGES = f'{{__name__=~"envoy_({_SOURCES})_.+_update_(rejected|failure)_total",job="gateway"}}'
FAILED_CONNECTIONS = 'envoy_cluster_upstream_cx_connect_fail_total{job="gateway"}'


def _quantile(quantile: float) -> Query:
    return Query(f"histogram_quantile({quantile}, {_BUCKETS})", f"p{quantile * 100:.0f}")


def _network(direction: str, legend: str) -> Query:
    counter = series("cadvisor", f"container_network_{direction}_bytes_total", _PODS)
    return Query(f"sum by (pod) (rate({counter}{RATE}))", legend)


_REQUESTS = Row(
    "Requests",
    (
        graph(
            "Answers by status class",
            "reqps",
            "Answers each second, of all tenants.",
            Query(
                f"sum by (envoy_response_code_class) (rate(envoy_http_downstream_rq_xx_total{{{REQUESTS}}}{RATE}))",
                "{{envoy_response_code_class}}xx",
            ),
            stacked=True,
        ),
        graph(
            "Time of a request",
            "ms",
            "From the request's arrival to the end of the answer. Log tails are not among them.",
            *map(_quantile, (0.5, 0.95, 0.99)),
        ),
        graph(
            "Requests by tenant",
            "reqps",
            "Requests each second by the access log, of the ten tenants with the most.",
            Query(f'topk(10, sum by (tenant) (rate({ACCESS_LOG} | tenant!="" [$__interval])))', "{{tenant}}", "logs"),
            stacked=True,
        ),
        graph(
            "Bytes",
            "Bps",
            "Bytes that clients send and get each second, headers included.",
            Query(f"sum(rate(envoy_http_downstream_cx_rx_bytes_total{{{REQUESTS}}}{RATE}))", "received"),
            Query(f"sum(rate(envoy_http_downstream_cx_tx_bytes_total{{{REQUESTS}}}{RATE}))", "sent"),
        ),
    ),
)
_REFUSED = Row(
    "Refused",
    (
        graph(
            "Refused answers by status",
            "reqps",
            "Answers of the gateway itself, by the access log: 401 and 403 for tokens, 404 for paths, 429 for rates.",
            Query(
                f'sum by (status) (rate({ACCESS_LOG} | reason!="via_upstream" | status>=400 [$__interval])) {OR_ZERO}',
                "{{status}}",
                "logs",
            ),
        ),
        graph(
            "Configuration refused",
            "short",
            "Changes of keys, limits or ranges that a pod refused since its start. It goes on with what it had.",
            Query(f"sum by (instance) ({REFUSED_CHANGES}) {OR_ZERO}", "{{instance}}"),
        ),
    ),
)
_BACK_ENDS = Row(
    "Back ends",
    (
        graph(
            "Answers of back ends",
            "reqps",
            "Answers each second by Envoy's cluster and status class.",
            Query(
                "sum by (envoy_cluster_name, envoy_response_code_class)"
                f' (rate(envoy_cluster_upstream_rq_xx_total{{job="gateway"}}{RATE}))',
                "{{envoy_cluster_name}} {{envoy_response_code_class}}xx",
            ),
        ),
        graph(
            "Failed connections to back ends",
            "cps",
            "Connections each second that failed or took too long.",
            Query(
                f"sum by (envoy_cluster_name) (rate({FAILED_CONNECTIONS}{RATE})) {OR_ZERO}", "{{envoy_cluster_name}}"
            ),
        ),
    ),
)
_POD = Row(
    "Pods",
    (
        graph(
            "Connections of clients",
            "short",
            "Open connections by pod.",
            Query(f"sum by (instance) (envoy_http_downstream_cx_active{{{REQUESTS}}})", "{{instance}}"),
        ),
        *use_of_pods(_PODS, WHOLE_WIDTH // 2),
        graph(
            "Network",
            "Bps",
            "Bytes each second, to and from clients and back ends.",
            _network("receive", "{{pod}} in"),
            _network("transmit", "{{pod}} out"),
        ),
    ),
)
GATEWAY = Dashboard(
    "gateway",
    "Opstrace: gateway",
    "Requests of all tenants at the gateway: how many, how long they take, what is refused, and what back ends answer.",
    (_REQUESTS, _REFUSED, _BACK_ENDS, _POD),
)
