"""Pods of Envoy, whose image each node has, as servers that answer by themselves."""

import json
from collections.abc import Sequence
from typing import Any

from components.core.images import ENVOY_IMAGE

TYPES = "type.googleapis.com/envoy.extensions"
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 in a pod
EVERY_PATH = {"prefix": "/"}


def address(port: int) -> dict[str, Any]:
    """Return a port on all addresses of the pod."""
    return {"socket_address": {"address": ALL_ADDRESSES, "port_value": port}}


def answer(text: str = "", path: str = "") -> dict[str, Any]:
    """Return the route that answers a path with 200 and a text; every path without one."""
    body = {"body": {"inline_string": text}} if text else {}
    return {"match": {"path": path} if path else EVERY_PATH, "direct_response": {"status": 200} | body}


def http_listener(
    port: int,
    routes: Sequence[dict[str, Any]],
    *,
    log: str = "",
    script: str = "",
    certificate: tuple[bytes, bytes] | None = None,
) -> dict[str, Any]:
    """Return a listener for HTTP/1.1.

    Args:
        port: Its port.
        routes: What it answers. A path of no route gets 404.
        log: The format of the line that it writes for each request. Without it, it writes none.
        script: Lua that handles each request first.
        certificate: The certificate and its key as PEM, if it speaks TLS.
    """
    written = {
        "@type": f"{TYPES}.access_loggers.stream.v3.StdoutAccessLog",
        "log_format": {"text_format_source": {"inline_string": f"{log}\n"}},
    }
    lua = {"@type": f"{TYPES}.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": script}}
    filters = ({"lua": lua} if script else {}) | {"router": {"@type": f"{TYPES}.filters.http.router.v3.Router"}}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "server",
        "access_log": [{"name": "stdout", "typed_config": written}] if log else [],
        "route_config": {"virtual_hosts": [{"name": "server", "domains": ["*"], "routes": [*routes]}]},
        "http_filters": [{"name": name, "typed_config": config} for name, config in filters.items()],
    }
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
    if certificate:
        chain["transport_socket"] = {"name": "tls", "typed_config": _tls(*certificate)}
    return {"address": address(port), "filter_chains": [chain]}


def _tls(certificate: bytes, key: bytes) -> dict[str, Any]:
    pair = {"certificate_chain": certificate, "private_key": key}
    texts = {name: {"inline_string": pem.decode()} for name, pem in pair.items()}
    kind = f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"
    return {"@type": kind, "common_tls_context": {"tls_certificates": [texts]}}


def command_line(*listeners: dict[str, Any], admin_port: int | None = None, level: str = "error") -> list[str]:
    """Return the arguments of Envoy with one worker, which counts all requests. `level` is that of its own log."""
    config: dict[str, Any] = {"static_resources": {"listeners": [*listeners]}}
    if admin_port:
        config["admin"] = {"address": address(admin_port)}
    return ["--config-yaml", json.dumps(config), "--concurrency", "1", "--disable-hot-restart", "-l", level]


def pod_spec(name: str, words: Sequence[str], **parts: Any) -> dict[str, Any]:
    """Return the spec of a pod with one container of this name, with further parts of the container."""
    container = {"name": name, "image": ENVOY_IMAGE, "args": [*words], **parts}
    return {"containers": [container], "terminationGracePeriodSeconds": 0}
