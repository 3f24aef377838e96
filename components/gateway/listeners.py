"""The gateway's two listeners: the clients' one with its virtual hosts and error answers, and the probe's one."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.core.names import APIS
from components.gateway import limits
from components.gateway.access_log import access_log
from components.gateway.filter_chain import INSTANCE_HOST, first_filters, http_filters, probe_filters
from components.gateway.lua_filters import BAD_TOKEN, OWN_HEADERS
from components.gateway.routes import ALERTS, BASIC, INSTANCE_ROUTES, PAGES, ROUTES, Route, first_filter
from components.gateway.settings import (
    ANSWER_SOCKET_BYTES,
    BODY_SOCKET_BYTES,
    BUFFER_BYTES,
    EVERY_ADDRESS,
    HEALTH_PORT,
    IDLE_SECONDS,
    LISTEN_PORT,
    MOST_HEADER_KIB,
    PROBE_BUFFER_BYTES,
    PROBE_CONNECTIONS,
    PROBE_HEADER_KIB,
    REQUEST_SECONDS,
    SILENT_SECONDS,
    GatewaySettings,
)
from components.gateway.watched_files import ACCESS, HTTP, TOKEN

CONNECTION_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
LISTENER_FILTERS = "type.googleapis.com/envoy.extensions.filters.listener"
# The detail of Envoy's answer where the name server says that the name has no records. Where the name server does not
# answer, Envoy's 503 lets clients retry.
NO_SERVICE = "dns_resolution_failure{cares_norecords"
NO_TENANT = "no such tenant"
UNDECLARED = (
    f"a body without Content-Length may have {limits.MOST_UNDECLARED_BYTES} bytes, because bytesPerSecond limits this "
    "tenant: send Content-Length"
)
# SO_SNDBUF and SO_RCVBUF of SOL_SOCKET in Linux, where Envoy runs; this program may run elsewhere.
SOL_SOCKET, SO_SNDBUF, SO_RCVBUF = 1, 7, 8


def socket_options(*, sent: int, received: int) -> list[dict[str, Any]]:
    """Return the options that limit the kernel's buffers of a connection, in bytes (Linux, `man 7 socket`).

    An accepted socket inherits those of its listener.
    """
    return [
        {"level": SOL_SOCKET, "name": name, "int_value": size, "state": "STATE_PREBIND"}
        for name, size in ((SO_SNDBUF, sent), (SO_RCVBUF, received))
    ]


def client_listener(settings: GatewaySettings) -> dict[str, Any]:
    """Return the listener that the load balancer forwards clients' connections to."""
    proxy_protocol = {"@type": f"{LISTENER_FILTERS}.proxy_protocol.v3.ProxyProtocol"}
    # It waits for the beginning of a request, so that a silent connection is closed.
    inspector = {"@type": f"{LISTENER_FILTERS}.http_inspector.v3.HttpInspector"}
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": EVERY_ADDRESS, "port_value": LISTEN_PORT}},
        "listener_filters": [
            {"name": "proxy-protocol", "typed_config": proxy_protocol},
            {"name": "http-inspector", "typed_config": inspector},
        ],
        "listener_filters_timeout": f"{SILENT_SECONDS}s",
        "filter_chains": [{"filters": [{"name": "http", "typed_config": _connection_manager(settings)}]}],
        # Buffers bodies that arrive faster than the gateway forwards them, and answers that the client does not read.
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "socket_options": socket_options(sent=ANSWER_SOCKET_BYTES, received=BODY_SOCKET_BYTES),
    }


def _connection_manager(settings: GatewaySettings) -> dict[str, Any]:
    own_headers = {
        "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": [{"remove": name} for name in OWN_HEADERS],
    }
    return {
        "@type": CONNECTION_MANAGER,
        "stat_prefix": "gateway",
        "normalize_path": True,
        "merge_slashes": True,
        # The routes refuse escaped slashes, except in the names of rules.
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "use_remote_address": True,
        # With HTTP/2 the client decides how much of its answers the gateway must buffer: docs/decisions/0004.
        "codec_type": "HTTP1",
        "common_http_protocol_options": {
            "headers_with_underscores_action": "DROP_HEADER",
            "idle_timeout": f"{IDLE_SECONDS}s",
        },
        "early_header_mutation_extensions": [{"name": "own-headers", "typed_config": own_headers}],
        "max_request_headers_kb": MOST_HEADER_KIB,
        "request_headers_timeout": f"{SILENT_SECONDS}s",
        "request_timeout": f"{REQUEST_SECONDS}s",
        "access_log": [access_log()],
        "local_reply_config": _local_replies(),
        "route_config": {"virtual_hosts": _virtual_hosts(settings), "ignore_port_in_host_matching": True},
        "http_filters": http_filters(settings),
    }


def _virtual_hosts(settings: GatewaySettings) -> list[dict[str, Any]]:
    hosts = [*first_filters(settings)]
    own = [_virtual_host(INSTANCE_HOST, settings.domain, INSTANCE_ROUTES, hosts)] if INSTANCE_HOST in hosts else []
    return [*own, *(_virtual_host(api, f"{api}.*", ROUTES[api], hosts) for api in APIS)]


def _virtual_host(name: str, domain: str, routes: Sequence[Route], hosts: Sequence[str]) -> dict[str, Any]:
    """Return a virtual host that disables the first filters of the others."""
    off = {"@type": f"{HTTP}.lua.v3.LuaPerRoute", "disabled": True}
    return {
        "name": name,
        "domains": [domain] if domain.endswith("*") else [domain, f"{domain}."],
        "routes": [route.config() for route in routes],
        "typed_per_filter_config": dict.fromkeys((first_filter(host) for host in hosts if host != name), off),
    }


def _local_replies() -> dict[str, Any]:
    """Return the texts of Envoy's own answers; they are those of the original's gateway."""
    # A browser asks again for a wrong password only if the answer has a challenge.
    challenge = {"header": {"key": "www-authenticate", "value": BASIC}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {
        "mappers": [
            {"headers_to_add": [challenge]} | local_reply("jwt_authn", 401, BAD_TOKEN, [PAGES]),
            local_reply("jwt_authn", 401, BAD_TOKEN),
            # With `accept_http_10`, Envoy would also serve HTTP/1.2 and HTTP/9.9.
            local_reply("low_version", 426, "use HTTP/1.1: other versions are refused"),
            local_reply("rbac_access_denied", 403, "this tenant takes nothing from your address"),
            local_reply("request_payload_too_large", 413, UNDECLARED),
            local_reply("request_payload_exceeded_retry_buffer_limit", 503, "no connection to the tenant's pods"),
            local_reply("local_rate_limited", 429, "too many requests or bytes of this tenant"),
            local_reply(NO_SERVICE, 404, "this tenant has no Alertmanager", [ALERTS, PAGES]),
            local_reply(NO_SERVICE, 404, NO_TENANT),
        ]
    }


def local_reply(details: str, status: int, body: str, paths: Sequence[str] = ()) -> dict[str, Any]:
    """Return the mapper of an answer.

    Args:
        details: The beginning of Envoy's response code details.
        status: The status of the answer.
        body: The text of the answer.
        paths: Prefixes of the paths that it is for; empty: all paths.
    """
    expression = f"response.code_details.startsWith('{details}')"
    if paths:
        prefixes = " || ".join(f"request.path.startsWith('{path}')" for path in paths)
        expression += f" && ({prefixes})"
    config: Mapping[str, str] = {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        "expression": expression,
    }
    return {
        "filter": {"extension_filter": {"name": "cel", "typed_config": config}},
        "status_code": status,
        "body": {"inline_string": body},
        "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
    }


def probe_listener(settings: GatewaySettings) -> dict[str, Any]:
    """Return the listener of the kubelet's probe. A pod is ready once it has all files that it watches."""
    off = {
        TOKEN.filter: {"@type": f"{HTTP}.jwt_authn.v3.PerRouteConfig", "disabled": True},
        ACCESS.filter: {"@type": f"{HTTP}.lua.v3.LuaPerRoute", "disabled": True},
    }
    ready = {"match": {"path": "/ready"}, "direct_response": {"status": 200}, "typed_per_filter_config": off}
    manager = {
        "@type": CONNECTION_MANAGER,
        "stat_prefix": "health",
        "codec_type": "HTTP1",
        "common_http_protocol_options": {"idle_timeout": f"{SILENT_SECONDS}s"},
        "request_headers_timeout": f"{SILENT_SECONDS}s",
        "request_timeout": f"{SILENT_SECONDS}s",
        "max_request_headers_kb": PROBE_HEADER_KIB,
        "route_config": {"virtual_hosts": [{"name": "health", "domains": ["*"], "routes": [ready]}]},
        "http_filters": probe_filters(settings),
    }
    few = {
        "name": "few-connections",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
            "stat_prefix": "health",
            "max_connections": PROBE_CONNECTIONS,
        },
    }
    return {
        "name": "health",
        "address": {"socket_address": {"address": EVERY_ADDRESS, "port_value": HEALTH_PORT}},
        "filter_chains": [{"filters": [few, {"name": "http", "typed_config": manager}]}],
        "per_connection_buffer_limit_bytes": PROBE_BUFFER_BYTES,
        # The probe is answered even when the pod refuses clients; its own limits bound what this port takes.
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
    }
