"""The gateway's Envoy configuration. It names no user tenant: one more changes nothing here.

The tenant comes from the host name (at the instance's own name from the token), the
upstream from the tenant (Envoy's dynamic forward proxy), keys and what tokens may do
from files that Envoy watches.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components import gateway_limits, gateway_lua, gateway_metrics
from components.access_log import access_log
from components.gateway_files import ACCESS, ADDRESSES, CONNECTIONS, HTTP, LUA_TYPE, RATES, TOKEN
from components.gateway_routes import ALERTS, BASIC, INSTANCE_ROUTES, PAGES, ROUTES, first_step
from components.names import APIS

LISTEN_PORT = 8080
HEALTH_PORT = 8081
ADMIN_PORT = 9901
ADMIN_FILTERS = "/config_dump?resource=ecds_filters"
ADMIN_COUNTERS = "/stats?filter=extension_config_discovery"
CONFIG_FOLDER = "/etc/envoy"
# The name server's own word that there is no such Service; where it does not answer, 503 lets clients retry.
NO_SERVICE = "dns_resolution_failure{cares_norecords"
UNDECLARED = f"a request that does not declare its length may have {gateway_limits.MOST_UNDECLARED_BYTES} bytes"
INSTANCE_HOST = "instance"  # the virtual host of the instance's own name
MEMORY_MIB = 512  # of a pod
HEAP_MIB = 384  # of it for requests; Lua has its own
# Of clients to a pod, with a token or without one: each takes 8 to 16 KiB, and 100 where it sends what is kept.
MOST_CONNECTIONS = 4000
HEAP = "envoy.resource_monitors.fixed_heap"
REQUEST_SECONDS = 60  # for a request to arrive whole; what is answered already, as a tail is, is not meant


@dataclass(frozen=True)
class GatewaySettings:
    """`domain` is the instance's."""

    instance: str
    domain: str
    authentication: bool
    legacy_push_errors: bool


def _lua(name: str, code: str) -> dict[str, Any]:
    return {
        "name": name,
        "typed_config": {"@type": LUA_TYPE, "default_source_code": {"inline_string": code}},
    }


DNS_CACHE: dict[str, Any] = {
    "name": "tenants",
    "dns_lookup_family": "V4_ONLY",
    "max_hosts": 8192,  # of 1,000 tenants with three services each, every name in two spellings
    "dns_refresh_rate": "5s",
    "dns_min_refresh_rate": "1s",
    "dns_query_timeout": "5s",
    "host_ttl": f"{gateway_lua.HOST_TTL_SECONDS}s",
    "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "2s"},
}


def _filters(settings: GatewaySettings, steps: Mapping[str, str]) -> list[dict[str, Any]]:
    verified = [TOKEN.declaration(), ACCESS.declaration()]
    return [
        *(_lua(first_step(host), code) for host, code in steps.items()),
        *(verified if settings.authentication else []),
        ADDRESSES.declaration(),
        {"name": "known-connections", "typed_config": {"@type": RATES.type_url, **gateway_limits.known_connections()}},
        CONNECTIONS.declaration(),
        {"name": "whole-bodies", "typed_config": gateway_limits.whole_bodies()},
        _lua("before-limits", gateway_lua.before_limits()),
        RATES.declaration(),
        _lua("push-answers", gateway_lua.push_answers(legacy_errors=settings.legacy_push_errors)),
        {
            "name": "forward",
            "typed_config": {
                "@type": f"{HTTP}.dynamic_forward_proxy.v3.FilterConfig",
                "dns_cache_config": DNS_CACHE,
            },
        },
        {"name": "router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}},
    ]


def _first_steps(settings: GatewaySettings) -> dict[str, str]:
    """Return the first step by virtual host; each runs its own alone.

    The instance's own name stands for the tenant of the token: without authentication there is none.
    """
    domain, on = settings.domain, settings.authentication
    steps: dict[str, str] = {api: gateway_lua.before_authentication(api, domain, authentication=on) for api in APIS}
    return steps | ({INSTANCE_HOST: gateway_lua.before_authentication_at_instance(domain)} if on else {})


def _virtual_host(name: str, domain: str, routes: list[dict[str, Any]], steps: Mapping[str, str]) -> dict[str, Any]:
    """Return a virtual host, in which the first steps of the others are off."""
    off = {"@type": f"{HTTP}.lua.v3.LuaPerRoute", "disabled": True}
    return {
        "name": name,
        "domains": [domain],
        "routes": routes,
        "typed_per_filter_config": dict.fromkeys((first_step(step) for step in steps if step != name), off),
    }


def _virtual_hosts(settings: GatewaySettings, steps: Mapping[str, str]) -> list[dict[str, Any]]:
    own = [_virtual_host(INSTANCE_HOST, settings.domain, INSTANCE_ROUTES, steps)] if INSTANCE_HOST in steps else []
    return [*own, *(_virtual_host(api, f"{api}.*", ROUTES[api], steps) for api in APIS)]


def _local_replies() -> dict[str, Any]:
    """Return how Envoy's own answers read: as the original's did."""

    def mapper(details: str, status: int, body: str, paths: Sequence[str] = ()) -> dict[str, Any]:
        expression = f"response.code_details.startsWith('{details}')"
        if paths:
            asked = " || ".join(f"request.path.startsWith('{path}')" for path in paths)
            expression += f" && ({asked})"
        return {
            "filter": {
                "extension_filter": {
                    "name": "cel",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                        "expression": expression,
                    },
                }
            },
            "status_code": status,
            "body": {"inline_string": body},
            "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
        }

    # A browser asks again for a password that was wrong, where it is told so.
    challenge = {"header": {"key": "www-authenticate", "value": BASIC}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    asking = {"headers_to_add": [challenge]}
    return {
        "mappers": [
            asking | mapper("jwt_authn", 401, "bad authentication token", [PAGES]),
            mapper("jwt_authn", 401, "bad authentication token"),
            mapper("rbac_access_denied", 403, "this tenant takes nothing from your address"),
            mapper("request_payload_too_large", 413, UNDECLARED),
            mapper("request_payload_exceeded_retry_buffer_limit", 503, "no connection to the tenant's pods"),
            mapper("local_rate_limited", 429, "too many requests or bytes of this tenant"),
            mapper(NO_SERVICE, 404, "this tenant has no Alertmanager", [ALERTS, PAGES]),
            mapper(NO_SERVICE, 404, "no such tenant"),
        ]
    }


def _listener(settings: GatewaySettings) -> dict[str, Any]:
    steps = _first_steps(settings)
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "use_remote_address": True,
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER", "idle_timeout": "600s"},
        # Envoy's 'Configuring Envoy as an edge proxy'
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65_536,
            "initial_connection_window_size": 1_048_576,
        },
        "request_headers_timeout": "10s",
        "request_timeout": f"{REQUEST_SECONDS}s",
        "access_log": [access_log()],
        "local_reply_config": _local_replies(),
        "route_config": {"virtual_hosts": _virtual_hosts(settings, steps), "ignore_port_in_host_matching": True},
        "http_filters": _filters(settings, steps),
    }
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": LISTEN_PORT}},
        "listener_filters": [
            {
                "name": "proxy-protocol",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
                },
            }
        ],
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        # Of what a client sends faster than it is passed on; by default a mebibyte, with every connection.
        "per_connection_buffer_limit_bytes": 32_768,
    }


def _health_listener(settings: GatewaySettings) -> dict[str, Any]:
    """Return the listener of the probe: ready is who has all that it watches, for without that it answers nobody else."""
    off = {
        TOKEN.filter: {"@type": f"{HTTP}.jwt_authn.v3.PerRouteConfig", "disabled": True},
        ACCESS.filter: {"@type": f"{HTTP}.lua.v3.LuaPerRoute", "disabled": True},
    }
    ready = {"match": {"path": "/ready"}, "direct_response": {"status": 200}, "typed_per_filter_config": off}
    reply = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "health",
        "route_config": {"virtual_hosts": [{"name": "health", "domains": ["*"], "routes": [ready]}]},
        "http_filters": [
            *([TOKEN.declaration(), ACCESS.declaration()] if settings.authentication else []),
            # They ask for what a request has of a tenant; this one has nothing.
            *(watched.declaration() for watched in (ADDRESSES, CONNECTIONS, RATES)),
            {"name": "router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}},
        ],
    }
    return {
        "name": "health",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": HEALTH_PORT}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": reply}]}],
        # The kubelet is heard also when no client is.
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
    }


def _overload_manager() -> dict[str, Any]:
    """Return what keeps a pod from being killed for its memory, which everybody's requests would pay for."""
    monitors = "type.googleapis.com/envoy.extensions.resource_monitors"

    def beyond(share: float) -> list[dict[str, Any]]:
        return [{"name": HEAP, "threshold": {"value": share}}]

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": HEAP,
                "typed_config": {
                    "@type": f"{monitors}.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": HEAP_MIB * 2**20,
                },
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{monitors}.downstream_connections.v3.DownstreamConnectionsConfig",
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


def _admin() -> dict[str, Any]:
    """Return the admin port: inside the pod alone, and for two questions alone; nothing can be changed by it."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": ADMIN_PORT}}
    return {"address": address, "allow_paths": [{"exact": path} for path in (ADMIN_FILTERS, ADMIN_COUNTERS)]}


def bootstrap(settings: GatewaySettings) -> str:
    """Return the configuration that Envoy starts with, as JSON."""
    tenant_cluster = {
        "name": "tenant",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "1.5s",  # of each try; a packet that was lost is sent again after a second
        # One cluster serves all tenants: with the defaults one tenant's slow queries would stop all others (1,024), and
        # three requests that wait for one tenant's dead pod would take their retries.
        "circuit_breakers": {
            "thresholds": [
                dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), 100_000)
            ]
        },
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "dns_cache_config": DNS_CACHE,
            },
        },
    }
    content = {
        "node": {"id": "gateway", "cluster": settings.instance},
        "admin": _admin(),
        "overload_manager": _overload_manager(),
        "stats_sinks": gateway_metrics.sinks(),
        "stats_flush_interval": f"{gateway_metrics.FLUSH_SECONDS}s",
        "static_resources": {
            "listeners": [_listener(settings), _health_listener(settings)],
            "clusters": [tenant_cluster, gateway_metrics.cluster()],
        },
    }
    return json.dumps(content, indent=1)
