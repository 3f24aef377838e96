"""The way of log tails: a listener on loopback behind the clients' one. Its connections end when keys or revocations change.

Lists that Envoy watches apply to new requests only. A tail is one request that goes on for hours, so the gateway sends
it through this second listener. The listener comes from a file that names the version of the lists. With another version
Envoy replaces the listener's filter chain, and closes the connections of the old one after `DRAIN_SECONDS`. A tail that was
let in by another version of the lists is refused: the files are loaded one after the other.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from components.gateway import lua_filters
from components.gateway.filter_chain import DNS_CACHE
from components.gateway.limits import addresses_version
from components.gateway.listeners import CONNECTION_MANAGER, NO_SERVICE, NO_TENANT, local_reply, socket_options
from components.gateway.routes import RETRIES, TAILS_CLUSTER
from components.gateway.settings import (
    ANSWER_SOCKET_BYTES,
    BUFFER_BYTES,
    MOST_HEADER_KIB,
    MOST_TAILS,
    TAIL_HOURS,
    TAIL_PORT,
)
from components.gateway.watched_files import ACCESS, ADDRESSES, HTTP, WatchedFile, filter_in

TAILS = WatchedFile("tails", ACCESS.part, "tails.json", "type.googleapis.com/envoy.config.listener.v3.Listener")
"""The file with the listener. It is in the ConfigMap of the lists, so that both change together."""
CHANGED = "keys, revocations or addresses have just changed: send again"
OWN_HEADER_KIB = 4  # that the first listener adds
LOOPBACK = {"socket_address": {"address": "127.0.0.1", "port_value": TAIL_PORT}}


def lds_config() -> dict[str, Any]:
    """Return where Envoy finds the listener."""
    source = {"path": f"{TAILS.folder}/{TAILS.file}", "watched_directory": {"path": TAILS.folder}}
    return {"path_config_source": source, "initial_fetch_timeout": "5s"}


def cluster() -> dict[str, Any]:
    """Return the cluster of the listener: requests beyond `MOST_TAILS` get 503."""
    thresholds = [{"max_requests": MOST_TAILS, "max_connections": 2 * MOST_TAILS, "max_pending_requests": MOST_TAILS}]
    return {
        "name": TAILS_CLUSTER,
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "upstream_bind_config": {
            "source_address": {"address": "127.0.0.1", "port_value": 0},
            "socket_options": socket_options(sent=ANSWER_SOCKET_BYTES, received=ANSWER_SOCKET_BYTES),
        },
        "circuit_breakers": {"thresholds": thresholds},
        "load_assignment": {
            "cluster_name": TAILS_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": LOOPBACK}}]}],
        },
    }


def tails_file(files: Mapping[WatchedFile, str], *, authentication: bool) -> str:
    """Return the file with the listener, as JSON.

    Args:
        files: The other files. Their keys, revocations and client addresses decide which tails go on.
        authentication: Whether requests need a token.
    """
    (_, access), (_, addresses) = (filter_in(files[watched]) for watched in (ACCESS, ADDRESSES))
    version = lua_filters.version_of(access["default_source_code"]["inline_string"])
    lists = hashlib.sha256((version + files[ADDRESSES]).encode()).hexdigest()[:16]
    return TAILS.resource(_listener(lists, (version if authentication else "") + addresses_version(addresses)))


def lists_in(file: str) -> str:
    """Return the version of the lists in a file of `tails_file`."""
    return lists_of(json.loads(file)["resources"][0])


def lists_of(listener: Mapping[str, Any]) -> str:
    """Return the version of the lists in a configuration of the listener."""
    (chain,) = listener["filter_chains"]
    return str(chain["name"])


def _listener(lists: str, version: str) -> dict[str, Any]:
    manager = {
        "@type": CONNECTION_MANAGER,
        "stat_prefix": "tails",
        "codec_type": "HTTP1",
        "skip_xff_append": True,
        "generate_request_id": False,
        "max_request_headers_kb": MOST_HEADER_KIB + OWN_HEADER_KIB,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "local_reply_config": {"mappers": [local_reply(NO_SERVICE, 404, NO_TENANT)]},
        "route_config": {"virtual_hosts": [{"name": "tails", "domains": ["*"], "routes": _routes(version)}]},
        "http_filters": [
            {
                "name": "forward",
                "typed_config": {
                    "@type": f"{HTTP}.dynamic_forward_proxy.v3.FilterConfig",
                    "dns_cache_config": DNS_CACHE,
                },
            },
            {"name": "router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}},
        ],
    }
    return {
        "name": "tails",
        "address": LOOPBACK,
        "ignore_global_conn_limit": True,  # each of its connections is a client's too, which is counted there
        "bypass_overload_manager": True,
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "socket_options": socket_options(sent=ANSWER_SOCKET_BYTES, received=ANSWER_SOCKET_BYTES),
        "filter_chains": [{"name": lists, "filters": [{"name": "http", "typed_config": manager}]}],
    }


def _routes(version: str) -> list[dict[str, Any]]:
    """Return the route of tails of this version of the lists, and the one that refuses all others."""
    of_version = [{"name": lua_filters.VERSION_HEADER, "string_match": {"exact": version}}]
    # The filter after authentication puts the rest of the token's time into the header `grpc-timeout`.
    longest = f"{TAIL_HOURS * 3600}s"
    forward = {
        "@type": f"{HTTP}.dynamic_forward_proxy.v3.PerRouteConfig",
        "host_rewrite_header": lua_filters.UPSTREAM_HEADER,
    }
    followed = {
        "match": {"prefix": "/", **({"headers": of_version} if version else {})},
        "route": {
            "cluster": "tenant",
            "timeout": "0s",
            "retry_policy": RETRIES,
            "max_stream_duration": {"max_stream_duration": longest, "grpc_timeout_header_max": longest},
        },
        "request_headers_to_remove": ["grpc-timeout", lua_filters.VERSION_HEADER],
        "typed_per_filter_config": {"forward": forward},
    }
    refused = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 503, "body": {"inline_string": CHANGED}},
    }
    return [followed, refused]
