"""What the gateway lets through of each tenant: how much a second, and from which addresses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.names import TAIL

BYTES_HEADER = "x-opstrace-bytes"
TENANT_HEADER = (
    "x-opstrace-tenant"  # like the header above the gateway's own: its first step overwrites what a client sent
)
CONNECTION_HEADER = "x-opstrace-connection"  # what is known of the request's connection; also the gateway's own
KNOWN, TOO_MANY = "known", "too-many"
MOST_TENANTS = (
    4096  # with buckets of their own at once; the least recently seen loses its own, which is full again then
)
RETRY_AFTER_SECONDS = 1  # a bucket is filled once a second
MOST_UNDECLARED_BYTES = 64 * 2**10  # of a body that is kept until it is whole; clients of the field declare theirs
FILTERS = "type.googleapis.com/envoy.extensions.filters"
YEAR_SECONDS = 365 * 24 * 3600
ALWAYS = {"default_value": {"numerator": 100}}


@dataclass(frozen=True)
class Rate:
    """So many a second, and at once at most `burst`."""

    per_second: int
    burst: int


@dataclass(frozen=True)
class TenantRates:
    """Of requests, of the bytes of their bodies, and of new connections; None: no limit."""

    requests: Rate | None = None
    bytes: Rate | None = None
    connections: Rate | None = None


@dataclass(frozen=True)
class GatewayLimits:
    """`rates` are each tenant's, `exceptions` those of single ones; `addresses` are IPv4 ranges by tenant."""

    rates: TenantRates = TenantRates()
    exceptions: Mapping[str, TenantRates] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _buckets(kind: str, limits: GatewayLimits, pods: int, *more: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the buckets of those tenants that have their own, and one for each other; `more`: what else a request has.

    Each of the gateway's `pods` lets its share through, since they do not speak to each other; a burst may be all
    at one of them.
    """

    def bucket(tenant: str, rate: Rate) -> dict[str, Any]:
        share = -(-rate.per_second // pods)
        return {
            "entries": [{"key": kind} | ({"value": tenant} if tenant else {}), *more],
            "token_bucket": {"max_tokens": rate.burst, "tokens_per_fill": share, "fill_interval": "1s"},
        }

    by_tenant = [*sorted(limits.exceptions.items()), ("", limits.rates)]
    return [bucket(tenant, rate) for tenant, rates in by_tenant if (rate := getattr(rates, kind))]


def _counted(kind: str) -> dict[str, Any]:
    return {"request_headers": {"header_name": TENANT_HEADER, "descriptor_key": kind}}


def _rates_config(limits: GatewayLimits, pods: int) -> dict[str, Any]:
    """Return the configuration of the filter that limits how much comes in (`local_ratelimit`).

    How long a body is, the gateway's own step before it says.
    """
    buckets = [*_buckets("requests", limits, pods), *_buckets("bytes", limits, pods)]
    if not buckets:
        return {"stat_prefix": "tenants"}
    return {
        "stat_prefix": "tenants",
        "filter_enabled": ALWAYS,
        "filter_enforced": ALWAYS,
        "rate_limits": [
            {"actions": [_counted("requests")]},
            {"actions": [_counted("bytes")], "hits_addend": {"format": f"%REQ({BYTES_HEADER})%"}},
        ],
        "descriptors": buckets,
        "max_dynamic_descriptors": MOST_TENANTS,
        "response_headers_to_add": [{"header": {"key": "retry-after", "value": str(RETRY_AFTER_SECONDS)}}],
    }


def _noted(value: str) -> list[dict[str, Any]]:
    """Return what a filter that lets all pass notes at a request for which its bucket was empty."""
    header = {"key": CONNECTION_HEADER, "value": value}
    return [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]


def _connections_config(limits: GatewayLimits, pods: int) -> dict[str, Any]:
    """Return the configuration of the filter that finds connections too many (`local_ratelimit`).

    It asks for the first request of each alone, by `known_connections`, and refuses nothing: it notes `TOO_MANY` at the
    request, for the gateway's own step, which also closes the connection.
    """
    buckets = _buckets("connections", limits, pods, {"key": "header_match", "value": "new"})
    if not buckets:
        return {"stat_prefix": "connections"}
    known = {"name": CONNECTION_HEADER, "present_match": True}
    new = {"header_value_match": {"descriptor_value": "new", "expect_match": False, "headers": [known]}}
    return {
        "stat_prefix": "connections",
        "filter_enabled": ALWAYS,
        "rate_limits": [{"actions": [_counted("connections"), new]}],
        "descriptors": buckets,
        "max_dynamic_descriptors": MOST_TENANTS,
        "request_headers_to_add_when_not_enforced": _noted(TOO_MANY),
    }


def known_connections() -> dict[str, Any]:
    """Return the configuration of the filter that tells a connection's first request from those after it.

    Each connection has a bucket of one (`local_rate_limit_per_downstream_connection`), which the first request takes. It
    never changes, so that no change of limits takes an open connection for a new one.
    """
    return {
        "stat_prefix": "known_connections",
        "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": f"{YEAR_SECONDS}s"},
        "filter_enabled": ALWAYS,
        "local_rate_limit_per_downstream_connection": True,
        "request_headers_to_add_when_not_enforced": _noted(KNOWN),
    }


def whole_bodies() -> dict[str, Any]:
    """Return the configuration of the filter that waits for bodies whose length is not declared, to learn it (`buffer`).

    It passes over all others, and over a tail, whose client never ends its side.
    """
    declared = _has("content-length", ".+")
    tail = {"and_matcher": {"predicate": [_has("upgrade", ".+"), _has(":path", f"{TAIL}(\\?.*)?")]}}
    skip = {"name": "skip", "typed_config": {"@type": f"{FILTERS}.common.matcher.action.v3.SkipFilter"}}
    either = {"or_matcher": {"predicate": [declared, tail]}}
    return {
        "@type": "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher",
        "extension_config": {
            "name": "buffer",
            "typed_config": {"@type": f"{FILTERS}.http.buffer.v3.Buffer", "max_request_bytes": MOST_UNDECLARED_BYTES},
        },
        "xds_matcher": {"matcher_list": {"matchers": [{"predicate": either, "on_match": {"action": skip}}]}},
    }


def _has(header: str, regex: str) -> dict[str, Any]:
    found = _input("header", "type.matcher.v3.HttpRequestHeaderMatchInput", header_name=header)
    return {"single_predicate": {"input": found, "value_match": {"safe_regex": {"google_re2": {}, "regex": regex}}}}


def _input(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.{kind}", **settings}}


def _action(name: str, *, denied: bool = False) -> dict[str, Any]:
    # To let pass is the default, and so it is not written: Envoy's own account of what it has leaves defaults out.
    config = {"@type": "type.googleapis.com/envoy.config.rbac.v3.Action", "name": name}
    return {"action": {"name": name, "typed_config": config | ({"action": "DENY"} if denied else {})}}


def _within(ranges: tuple[str, ...]) -> dict[str, Any]:
    """Return what asks for the client's address, and lets it pass where it is in one of the ranges."""
    prefixes = [address.split("/") for address in ranges]
    matcher = {
        "@type": "type.googleapis.com/xds.type.matcher.v3.IPMatcher",
        "range_matchers": [
            {
                "ranges": [{"address_prefix": prefix, "prefix_len": int(length)} for prefix, length in prefixes],
                "on_match": _action("inside"),
            }
        ],
    }
    tree = {
        "input": _input("address", "extensions.matching.common_inputs.network.v3.SourceIPInput"),
        "custom_match": {"name": "ranges", "typed_config": matcher},
    }
    return {"matcher": {"matcher_tree": tree, "on_no_match": _action("outside", denied=True)}}


def _addresses_config(limits: GatewayLimits) -> dict[str, Any]:
    """Return the configuration of the filter that refuses addresses from which a tenant takes nothing (`rbac`)."""
    if not limits.addresses:
        return {}
    tree = {
        "input": _input("tenant", "type.matcher.v3.HttpRequestHeaderMatchInput", header_name=TENANT_HEADER),
        "exact_match_map": {"map": {tenant: _within(ranges) for tenant, ranges in sorted(limits.addresses.items())}},
    }
    return {"matcher": {"matcher_tree": tree, "on_no_match": _action("anywhere")}}


def limits_configs(limits: GatewayLimits, pods: int) -> dict[str, dict[str, Any]]:
    """Return the configurations of the filters that hold a gateway of so many pods to the limits, by the filters' names."""
    return {
        "rates": _rates_config(limits, pods),
        "connections": _connections_config(limits, pods),
        "addresses": _addresses_config(limits),
    }


def limits_bytes(limits: GatewayLimits) -> int:
    """Return how large the configurations are as they are written."""
    return sum(len(json.dumps(part, separators=(",", ":"))) for part in limits_configs(limits, 1).values())
