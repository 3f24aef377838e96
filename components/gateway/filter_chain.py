"""The gateway's HTTP filters and their order.

Each virtual host has its own first Lua filter, which finds the tenant and checks the form of the credentials. The
filters that verify tokens and enforce limits follow, then the ones that forward the request.
"""

from collections.abc import Mapping
from typing import Any

from components.core.names import APIS
from components.core.scopes import TOKEN_ENDS_PREFIX
from components.gateway import limits, lua_filters
from components.gateway.access_log import TOKEN_ENDS_HEADER
from components.gateway.matching import Predicate, any_of, negated, request_header, response_header, skipped_where
from components.gateway.routes import CLOSED_PATH_FILTER, PUSH_ANSWERS_FILTER, first_filter
from components.gateway.settings import GatewaySettings
from components.gateway.watched_files import ACCESS, ADDRESSES, BODIES, BYTES, CONNECTIONS, HTTP, LUA_TYPE, RATES, TOKEN

# How Envoy asks for names. All that it asks for are whole names, so a domain that the node searches has no say in them.
# A first query would wait 5 s for its answer, which is all the time that it has; packets of UDP get lost in a burst.
RESOLVER: Mapping[str, Any] = {
    "name": "envoy.network.dns_resolver.cares",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        "dns_resolver_options": {"no_default_search_domain": True},
        "query_timeout_seconds": 1,
        "query_tries": 4,
    },
}
INSTANCE_HOST = "instance"  # the virtual host of the instance's own name
DNS_CACHE: dict[str, Any] = {
    "name": "tenants",
    "dns_lookup_family": "V4_ONLY",
    "max_hosts": 8192,  # 1,000 tenants with three services each, every name in two spellings
    "dns_refresh_rate": "5s",
    "dns_min_refresh_rate": "1s",
    "dns_query_timeout": "5s",
    "host_ttl": f"{lua_filters.HOST_TTL_SECONDS}s",
    "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "2s"},
    "typed_dns_resolver_config": RESOLVER,
}


def _lua(name: str, code: str) -> dict[str, Any]:
    return {
        "name": name,
        "typed_config": {"@type": LUA_TYPE, "default_source_code": {"inline_string": code}, "clear_route_cache": False},
    }


def _lua_where(name: str, code: str, predicate: Predicate) -> dict[str, Any]:
    """Return a Lua filter that runs only where the predicate holds."""
    config = _lua(name, code)["typed_config"]
    return {"name": name, "typed_config": skipped_where(name, config, negated(predicate))}


def _rate_limit(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": RATES.type_url, **config}}


def _token_ends() -> dict[str, Any]:
    """Return the filter that counts requests with a token that is near its end.

    Shadow rules refuse nothing. Envoy counts what they admit, which is every request that reaches this filter.
    """
    anybody = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    config = {
        "@type": f"{HTTP}.rbac.v3.RBAC",
        "shadow_rules": {"action": "ALLOW", "policies": {"all": anybody}},
        "shadow_rules_stat_prefix": TOKEN_ENDS_PREFIX,
    }
    skipped = negated(request_header(TOKEN_ENDS_HEADER, ".+"))
    return {"name": "token-ends", "typed_config": skipped_where("token-ends", config, skipped)}


def _address_limit(settings: GatewaySettings) -> list[dict[str, Any]]:
    rate = settings.address_connections
    return [_rate_limit("address-connections", limits.address_connections(rate, settings.pods))] if rate else []


def first_filters(settings: GatewaySettings) -> dict[str, str]:
    """Return the Lua code of the first filter by virtual host.

    The instance's own name has one only with authentication: there the token names the tenant.
    """
    domain, on = settings.domain, settings.authentication
    per_address = settings.address_connections is not None
    codes: dict[str, str] = {
        api: lua_filters.before_authentication(api, domain, authentication=on, per_address=per_address) for api in APIS
    }
    if on:
        codes[INSTANCE_HOST] = lua_filters.before_authentication_at_instance(domain, per_address=per_address)
    return codes


def http_filters(settings: GatewaySettings) -> list[dict[str, Any]]:
    """Return the filters that a client's request passes through, in this order, ending with the router."""
    verified = [TOKEN.declaration(), ACCESS.declaration()]
    too_many = request_header(limits.CONNECTION_HEADER, limits.TOO_MANY)
    # A websocket goes on beyond the length that it declares.
    websocket = request_header("upgrade", ".+")
    without_length = any_of(negated(request_header("content-length", ".+")), websocket)
    not_noted = any_of(negated(request_header(limits.BYTES_HEADER, ".+")), websocket)  # by the first filter
    push_answers = lua_filters.push_answers(legacy_errors=settings.legacy_push_errors)
    return [
        _lua_where("close-refused", lua_filters.close_refused(), response_header(":status", "40[0-4]")),
        _rate_limit("known-connections", limits.known_connections()),
        *_address_limit(settings),
        *(_lua(first_filter(host), code) for host, code in first_filters(settings).items()),
        *([*verified, _token_ends()] if settings.authentication else []),
        ADDRESSES.declaration(),
        CONNECTIONS.declaration(),
        # The filters above refuse every request that they can refuse without its body. Buffering starts below.
        _lua_where("refuse-connection", lua_filters.refuse_connection(), too_many),
        RATES.declaration(),
        BODIES.declaration(),
        _lua_where("before-bytes", lua_filters.before_bytes(), not_noted),
        BYTES.declaration(),
        _lua_where(PUSH_ANSWERS_FILTER, push_answers, response_header(":status", "[45].*")),
        # Answers pass the filters in reverse: after this one, an answer to a push is the 413.
        _lua_where("cut-body", lua_filters.cut_body(), without_length),
        {
            "name": "forward",
            "typed_config": {
                "@type": f"{HTTP}.dynamic_forward_proxy.v3.FilterConfig",
                "dns_cache_config": DNS_CACHE,
            },
        },
        _lua(CLOSED_PATH_FILTER, lua_filters.closed_path()),
        {"name": "router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}},
    ]


def probe_filters(settings: GatewaySettings) -> list[dict[str, Any]]:
    """Return the filters of the probe's port: all watched filters, so that the port answers once all are loaded."""
    return [
        *([TOKEN.declaration(), ACCESS.declaration()] if settings.authentication else []),
        # These filters check a tenant's headers. A probe has none of them, and passes.
        *(watched.declaration() for watched in (ADDRESSES, CONNECTIONS, RATES, BODIES, BYTES)),
        {"name": "router", "typed_config": {"@type": f"{HTTP}.router.v3.Router"}},
    ]
