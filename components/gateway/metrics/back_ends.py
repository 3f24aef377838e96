"""The gateway's port for the collectors: the metrics of tenants' pods, and nothing else of them.

Cortex and Loki have one port for their metrics and for the data of their tenant, and take the tenant's name from a header
that anybody can set. So the collectors do not reach that port. They use this port as an HTTP proxy. It forwards one path
to the ports of back ends. Every other request gets a 404.
"""

from typing import Any

from components.core.names import METRICS_SERVICE, PORTS
from components.gateway.settings import BUFFER_BYTES, EVERY_ADDRESS, METRICS_PORT
from components.gateway.watched_files import HTTP

NAME = METRICS_SERVICE  # of the listener and the cluster of Envoy too
PATH = "/metrics"
# An address, never a name: only pods whose network policy admits the gateway answer it, which are those of tenants.
ADDRESSES = rf"[0-9.]{{7,15}}:({'|'.join(str(port) for port in PORTS.values())})"
MOST_CONNECTIONS = 256  # of collectors to a pod; each node's collector keeps a few
HEADER_KIB = 8
ANSWER_SECONDS = 10  # the collectors' own timeout
IDLE_SECONDS = 90


def _routes() -> list[dict[str, Any]]:
    headers = [
        {"name": ":authority", "string_match": {"safe_regex": {"regex": ADDRESSES}}},
        {"name": ":method", "string_match": {"exact": "GET"}},
    ]
    return [
        {
            "match": {"path": PATH, "headers": headers},
            "route": {"cluster": NAME, "timeout": f"{ANSWER_SECONDS}s"},
            "request_headers_to_remove": ["x-scope-orgid", "authorization"],
        },
        {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
    ]


def listener() -> dict[str, Any]:
    """Return the listener that the collectors use as a proxy. It takes connections also if clients have used up theirs."""
    connection_limit = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
        "stat_prefix": NAME,
        "max_connections": MOST_CONNECTIONS,
    }
    manager = {
        "@type": (
            "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": NAME,
        "codec_type": "HTTP1",
        "common_http_protocol_options": {"idle_timeout": f"{IDLE_SECONDS}s"},
        "max_request_headers_kb": HEADER_KIB,
        "request_timeout": f"{ANSWER_SECONDS}s",
        "route_config": {"virtual_hosts": [{"name": NAME, "domains": ["*"], "routes": _routes()}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}}],
    }
    return {
        "name": NAME,
        "address": {"socket_address": {"address": EVERY_ADDRESS, "port_value": METRICS_PORT}},
        "filter_chains": [
            {
                "filters": [
                    {"name": "few-connections", "typed_config": connection_limit},
                    {"name": "http", "typed_config": manager},
                ]
            }
        ],
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "ignore_global_conn_limit": True,
    }


def cluster() -> dict[str, Any]:
    """Return the cluster that forwards a request to the address in its `Host`; it resolves no names."""
    return {
        "name": NAME,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "1.5s",
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "original_dst_lb_config": {"use_http_header": True, "http_header_name": ":authority"},
    }
