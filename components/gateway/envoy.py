"""Envoy's bootstrap configuration. It names no user tenant, so that adding one changes nothing in it.

The host name gives the tenant. At the instance's own name, the token gives it. The tenant's name leads to
the upstream, through Envoy's dynamic forward proxy. Keys and limits come from files that Envoy watches.
"""

import json
from typing import Any

from components.gateway.filter_chain import DNS_CACHE
from components.gateway.listeners import client_listener, probe_listener, socket_options
from components.gateway.metrics import back_ends, own
from components.gateway.settings import (
    ADMIN_PORT,
    ANSWER_SOCKET_BYTES,
    BODY_SOCKET_BYTES,
    BUFFER_BYTES,
    EVERY_ADDRESS,
    HEAP_MIB,
    MOST_CONNECTIONS,
    GatewaySettings,
)
from components.gateway.tails import listener as tails

ADMIN_FILTERS = "/config_dump?resource=ecds_filters"
ADMIN_LISTENERS = "/config_dump?resource=dynamic_listeners"
ADMIN_COUNTERS = "/stats?filter=update_"  # of all that Envoy reads from files
ADMIN_QUERIES = (ADMIN_FILTERS, ADMIN_LISTENERS, ADMIN_COUNTERS)
HEAP = "envoy.resource_monitors.fixed_heap"
MONITORS = "type.googleapis.com/envoy.extensions.resource_monitors"
# Envoy refuses regexes of more than 100 RE2 instructions, for those that strangers write. These are the program's own.
REGEX_SIZES = {"re2.max_program_size.error_level": 100_000}
UNLIMITED = 100_000  # of connections and requests to all tenants together


def bootstrap(settings: GatewaySettings) -> str:
    """Return the configuration that Envoy starts with, as JSON."""
    content = {
        "node": {"id": "gateway", "cluster": settings.instance},
        "admin": _admin(),
        "layered_runtime": {"layers": [{"name": "regexes", "static_layer": REGEX_SIZES}]},
        "overload_manager": _overload_manager(),
        "stats_sinks": own.sinks(),
        "stats_flush_interval": f"{own.FLUSH_SECONDS}s",
        "dynamic_resources": {"lds_config": tails.lds_config()},
        "static_resources": {
            "listeners": [client_listener(settings), probe_listener(settings), back_ends.listener()],
            "clusters": [_tenant_cluster(), tails.cluster(), own.cluster(), back_ends.cluster()],
        },
    }
    return json.dumps(content, indent=1)


def _admin() -> dict[str, Any]:
    """Return the admin port: it answers only inside the pod, only three queries, and changes nothing."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": ADMIN_PORT}}
    return {"address": address, "allow_paths": [{"exact": path} for path in ADMIN_QUERIES]}


def _overload_manager() -> dict[str, Any]:
    """Return the limits that keep a pod below its memory limit. A killed pod would fail requests of all tenants."""

    def beyond(share: float) -> list[dict[str, Any]]:
        return [{"name": HEAP, "threshold": {"value": share}}]

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": HEAP,
                "typed_config": {
                    "@type": f"{MONITORS}.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": HEAP_MIB * 2**20,
                },
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": MOST_CONNECTIONS,
                },
            },
        ],
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": beyond(0.8)},
            {"name": "envoy.overload_actions.disable_http_keepalive", "triggers": beyond(0.85)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": beyond(0.9)},
        ],
    }


def _tenant_cluster() -> dict[str, Any]:
    """Return the one cluster through which all tenants' back ends are reached."""
    # With the default of 1,024, slow queries of one tenant would block all others. With the default of three retries,
    # requests that wait for a dead pod of one tenant would use up those of all.
    thresholds = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), UNLIMITED)
    return {
        "name": "tenant",
        "lb_policy": "CLUSTER_PROVIDED",
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "upstream_bind_config": {
            "source_address": {"address": EVERY_ADDRESS, "port_value": 0},
            "socket_options": socket_options(sent=BODY_SOCKET_BYTES, received=ANSWER_SOCKET_BYTES),
        },
        "connect_timeout": "1.5s",  # of each try; TCP retransmits a lost packet after 1 s
        "circuit_breakers": {"thresholds": [thresholds]},
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "dns_cache_config": DNS_CACHE,
            },
        },
    }
