"""The limits of each tenant that the gateway enforces: rates, and the addresses that clients may have."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.core.names import TAIL
from components.core.units import DAY
from components.gateway.matching import (
    Predicate,
    all_of,
    any_of,
    matching_input,
    negated,
    request_header,
    skipped_where,
)

# The gateway's own headers; Envoy removes them from clients' requests.
BYTES_HEADER = "x-opstrace-bytes"
TENANT_HEADER = "x-opstrace-tenant"
CONNECTION_HEADER = "x-opstrace-connection"  # whether the connection had requests before, or exceeds a rate
KNOWN, TOO_MANY, TOO_MANY_FROM_ADDRESS = "known", "too-many", "too-many-from-address"
# Tenants, and client addresses, that have token buckets at the same time. Beyond that the least recently seen one loses
# its bucket, and gets a full one later.
MOST_TENANTS, MOST_ADDRESSES = 4096, 4096
RETRY_AFTER_SECONDS = 1  # token buckets are filled once a second
MOST_UNDECLARED_BYTES = 64 * 2**10  # of a body without Content-Length, which is buffered to count its bytes
FILTERS = "type.googleapis.com/envoy.extensions.filters"
LONGEST_CONNECTION_SECONDS = 365 * DAY  # longer than any connection lives
NAMES_OF_A_REGEX = 200  # tenants; RE2 compiles 2,900 names of 30 characters in the memory that Envoy gives it
VERSION_CHARACTERS = 8  # each range and tenant has the version in its part of the configuration
EVERY_REQUEST = request_header(":method", ".*")
ALWAYS = {"default_value": {"numerator": 100}}
FIRST_REQUEST = {"key": "header_match", "value": "new"}  # entry of a descriptor for the first request of a connection


@dataclass(frozen=True)
class Rate:
    """A rate, and the size of its token bucket.

    Attributes:
        per_second: How many are let through each second.
        burst: How many are let through at once.
    """

    per_second: int
    burst: int


@dataclass(frozen=True)
class TenantRates:
    """Rates of requests, of the bytes of their bodies, and of new connections; None: no limit."""

    requests: Rate | None = None
    bytes: Rate | None = None
    connections: Rate | None = None


@dataclass(frozen=True)
class GatewayLimits:
    """The limits of all tenants.

    Attributes:
        rates: The rates of a tenant that has no exception.
        exceptions: The rates of single tenants, by name.
        addresses: By tenant, the IPv4 ranges (CIDR) that clients may have; all addresses for tenants not in it.
    """

    rates: TenantRates = TenantRates()
    exceptions: Mapping[str, TenantRates] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _bucket(rate: Rate, pods: int, *entries: Mapping[str, str]) -> dict[str, Any]:
    """Return the token bucket of requests whose descriptor has these entries.

    Pods share no state, so each one gets its share of the rate. A whole burst may arrive at one pod.
    """
    share = -(-rate.per_second // pods)
    token_bucket = {"max_tokens": rate.burst, "tokens_per_fill": share, "fill_interval": "1s"}
    return {"entries": [*entries], "token_bucket": token_bucket}


def _buckets(kind: str, limits: GatewayLimits, pods: int, *more: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the token buckets of the tenants with exceptions, and the template for all others.

    Args:
        kind: The name of the rate in `TenantRates`.
        limits: The limits of all tenants.
        pods: How many pods share each rate.
        more: Further entries of the descriptors.
    """
    by_tenant = [*sorted(limits.exceptions.items()), ("", limits.rates)]
    return [
        _bucket(rate, pods, {"key": kind} | ({"value": tenant} if tenant else {}), *more)
        for tenant, rates in by_tenant
        if (rate := getattr(rates, kind))
    ]


def _counted(kind: str) -> dict[str, Any]:
    return {"request_headers": {"header_name": TENANT_HEADER, "descriptor_key": kind}}


def _enforced(prefix: str, rule: Mapping[str, Any], buckets: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the configuration of a filter that refuses requests beyond a rate (`local_ratelimit`)."""
    if not buckets:
        return {"stat_prefix": prefix}
    return {
        "stat_prefix": prefix,
        "filter_enabled": ALWAYS,
        "filter_enforced": ALWAYS,
        "rate_limits": [rule],
        "descriptors": buckets,
        "max_dynamic_descriptors": MOST_TENANTS,
        "response_headers_to_add": [{"header": {"key": "retry-after", "value": str(RETRY_AFTER_SECONDS)}}],
    }


def _rates_config(limits: GatewayLimits, pods: int) -> dict[str, Any]:
    """Return the configuration of the filter that limits requests. It comes before the body is buffered."""
    return _enforced("tenants", {"actions": [_counted("requests")]}, _buckets("requests", limits, pods))


def _bytes_config(limits: GatewayLimits, pods: int) -> dict[str, Any]:
    """Return the configuration of the filter that limits bytes. A Lua filter before it sets the length of the body."""
    rule = {"actions": [_counted("bytes")], "hits_addend": {"format": f"%REQ({BYTES_HEADER})%"}}
    return _enforced("bytes", rule, _buckets("bytes", limits, pods))


def _noted(value: str) -> list[dict[str, Any]]:
    """Return the header that a filter in report mode adds to a request when its token bucket is empty."""
    header = {"key": CONNECTION_HEADER, "value": value}
    return [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]


def _first_request() -> dict[str, Any]:
    """Return the action that gives `FIRST_REQUEST` to the first request of a connection only."""
    later_request = {"name": CONNECTION_HEADER, "present_match": True}
    return {"header_value_match": {"descriptor_value": "new", "expect_match": False, "headers": [later_request]}}


def _of_connections(
    prefix: str, action: Mapping[str, Any], buckets: list[dict[str, Any]], too_many: str
) -> dict[str, Any]:
    """Return the configuration of a filter that counts first requests and marks those beyond a rate with `too_many`."""
    return {
        "stat_prefix": prefix,
        "filter_enabled": ALWAYS,
        "rate_limits": [{"actions": [action, _first_request()]}],
        "descriptors": buckets,
        "request_headers_to_add_when_not_enforced": _noted(too_many),
    }


def _connections_config(limits: GatewayLimits, pods: int) -> dict[str, Any]:
    """Return the configuration of the filter that finds connections beyond a tenant's rate (`local_ratelimit`).

    It counts the first request of each connection, by the mark of `known_connections`. It refuses nothing: it marks the
    request with `TOO_MANY` for the Lua filter that answers it and closes the connection.
    """
    buckets = _buckets("connections", limits, pods, FIRST_REQUEST)
    if not buckets:
        return {"stat_prefix": "connections"}
    most = {"max_dynamic_descriptors": MOST_TENANTS}
    return _of_connections("connections", _counted("connections"), buckets, TOO_MANY) | most


def known_connections() -> dict[str, Any]:
    """Return the configuration of the filter that distinguishes a connection's first request from later ones.

    Each connection has a token bucket of size 1 (`local_rate_limit_per_downstream_connection`), which the first request
    empties. The configuration is constant, so that no change of limits makes an open connection look new. The filter
    comes before all others that may refuse a request; a refusal of the first request closes the connection.
    """
    return {
        "stat_prefix": "known_connections",
        "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": f"{LONGEST_CONNECTION_SECONDS}s"},
        "filter_enabled": ALWAYS,
        "local_rate_limit_per_downstream_connection": True,
        "request_headers_to_add_when_not_enforced": _noted(KNOWN),
    }


def address_connections(rate: Rate, pods: int) -> dict[str, Any]:
    """Return the configuration of the filter that finds connections beyond the rate of a client address.

    Like the filter for a tenant's connections, it marks the request for a Lua filter.
    """
    buckets = [_bucket(rate, pods, {"key": "remote_address"}, FIRST_REQUEST)]
    most = {"max_dynamic_descriptors": MOST_ADDRESSES}
    return _of_connections("address_connections", {"remote_address": {}}, buckets, TOO_MANY_FROM_ADDRESS) | most


def _is_without_limit(limits: GatewayLimits) -> Predicate:
    """Return the predicate that a request's tenant has no limit of bytes."""
    is_general = limits.rates.bytes is not None
    others = sorted(name for name, rates in limits.exceptions.items() if (rates.bytes is None) == is_general)
    if not others:
        return negated(EVERY_REQUEST) if is_general else EVERY_REQUEST
    parts = ["|".join(others[start : start + NAMES_OF_A_REGEX]) for start in range(0, len(others), NAMES_OF_A_REGEX)]
    predicates = [request_header(TENANT_HEADER, part) for part in parts]
    is_other = predicates[0] if len(predicates) == 1 else any_of(*predicates)
    return is_other if is_general else negated(is_other)


def _bodies_config(limits: GatewayLimits) -> dict[str, Any]:
    """Return the configuration of the filter that buffers bodies of undeclared length, to learn the length (`buffer`).

    It skips tenants that have no limit of bytes, whose bodies are forwarded as they come. It skips requests with a
    length. It also skips a tail, because its client never ends the body.
    """
    declared = request_header("content-length", ".+")
    tail = all_of(request_header("upgrade", ".+"), request_header(":path", f"{TAIL}(\\?.*)?"))
    config = {"@type": f"{FILTERS}.http.buffer.v3.Buffer", "max_request_bytes": MOST_UNDECLARED_BYTES}
    return skipped_where("buffer", config, any_of(declared, tail, _is_without_limit(limits)))


def _action(name: str, *, denied: bool = False) -> dict[str, Any]:
    # ALLOW is the default and left out: `status` compares with Envoy's configuration dump, which leaves defaults out.
    config = {"@type": "type.googleapis.com/envoy.config.rbac.v3.Action", "name": name}
    return {"action": {"name": name, "typed_config": config | ({"action": "DENY"} if denied else {})}}


def addresses_version(config: Mapping[str, Any]) -> str:
    """Return the version in a configuration of the filter that refuses client addresses; empty where it refuses none."""
    return str(config["matcher"]["on_no_match"]["action"]["name"]) if "matcher" in config else ""


def _within(ranges: tuple[str, ...], version: str) -> dict[str, Any]:
    """Return the matcher that allows client addresses in one of the ranges and denies all others."""
    prefixes = [address.split("/") for address in ranges]
    matcher = {
        "@type": "type.googleapis.com/xds.type.matcher.v3.IPMatcher",
        "range_matchers": [
            {
                "ranges": [{"address_prefix": prefix, "prefix_len": int(length)} for prefix, length in prefixes],
                "on_match": _action(version),
            }
        ],
    }
    tree = {
        "input": matching_input("address", "extensions.matching.common_inputs.network.v3.SourceIPInput"),
        "custom_match": {"name": "ranges", "typed_config": matcher},
    }
    return {"matcher": {"matcher_tree": tree, "on_no_match": _action("outside", denied=True)}}


def _addresses_config(limits: GatewayLimits) -> dict[str, Any]:
    """Return the configuration of the filter that refuses client addresses outside a tenant's ranges (`rbac`).

    The filter notes the name of its action in the request's metadata. The name is the version of the addresses, for log
    tails: see lua/before_bytes.lua.
    """
    if not limits.addresses:
        return {}
    text = json.dumps([[tenant, *ranges] for tenant, ranges in sorted(limits.addresses.items())])
    version = hashlib.sha256(text.encode()).hexdigest()[:VERSION_CHARACTERS]
    tree = {
        "input": matching_input("tenant", "type.matcher.v3.HttpRequestHeaderMatchInput", header_name=TENANT_HEADER),
        "exact_match_map": {
            "map": {tenant: _within(ranges, version) for tenant, ranges in sorted(limits.addresses.items())}
        },
    }
    return {"matcher": {"matcher_tree": tree, "on_no_match": _action(version)}}


def limits_configs(limits: GatewayLimits, pods: int) -> dict[str, dict[str, Any]]:
    """Return the configurations of the filters that enforce the limits, for so many pods, by the filters' names."""
    return {
        "rates": _rates_config(limits, pods),
        "whole-bodies": _bodies_config(limits),
        "bytes": _bytes_config(limits, pods),
        "connections": _connections_config(limits, pods),
        "addresses": _addresses_config(limits),
    }


def limits_bytes(limits: GatewayLimits) -> int:
    """Return the size of the configurations as compact JSON, in characters."""
    return sum(len(json.dumps(part, separators=(",", ":"))) for part in limits_configs(limits, 1).values())
