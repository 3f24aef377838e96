"""What the gateway lets through of each tenant: how much a second, and from which addresses."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BYTES_HEADER = "x-opstrace-bytes"
TENANT_HEADER = (
    "x-opstrace-tenant"  # like the header above the gateway's own: its first step overwrites what a client sent
)
MOST_TENANTS = (
    4096  # with buckets of their own at once; the least recently seen loses its own, which is full again then
)
RETRY_AFTER_SECONDS = 1  # a bucket is filled once a second
ALWAYS = {"default_value": {"numerator": 100}}


@dataclass(frozen=True)
class Rate:
    """So many a second, and at once at most `burst`."""

    per_second: int
    burst: int


@dataclass(frozen=True)
class TenantRates:
    """Of requests, and of the bytes of their bodies; None: no limit."""

    requests: Rate | None = None
    bytes: Rate | None = None


@dataclass(frozen=True)
class GatewayLimits:
    """`rates` are each tenant's, `exceptions` those of single ones; `addresses` are IPv4 ranges by tenant."""

    rates: TenantRates = TenantRates()
    exceptions: Mapping[str, TenantRates] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _bucket(kind: str, tenant: str, rate: Rate, pods: int) -> dict[str, Any]:
    """Return one tenant's bucket, or one for each tenant that has none of its own where `tenant` is empty."""
    entry = {"key": kind} | ({"value": tenant} if tenant else {})
    share = -(-rate.per_second // pods)
    return {
        "entries": [entry],
        "token_bucket": {"max_tokens": rate.burst, "tokens_per_fill": share, "fill_interval": "1s"},
    }


def rates_config(limits: GatewayLimits, pods: int) -> dict[str, Any]:
    """Return the configuration of the filter that limits how much comes in (`local_ratelimit`).

    Each of the gateway's `pods` lets its share through, since they do not speak to each other; a burst may be all
    at one of them. How long a body without a declared length is taken for, the gateway's first step says.
    """
    rates = [*sorted(limits.exceptions.items()), ("", limits.rates)]
    buckets = [
        _bucket(kind, tenant, rate, pods)
        for kind in ("requests", "bytes")
        for tenant, tenant_rates in rates
        if (rate := getattr(tenant_rates, kind))
    ]

    def counted(kind: str) -> dict[str, Any]:
        return {"actions": [{"request_headers": {"header_name": TENANT_HEADER, "descriptor_key": kind}}]}

    if not buckets:
        return {"stat_prefix": "tenants"}
    return {
        "stat_prefix": "tenants",
        "filter_enabled": ALWAYS,
        "filter_enforced": ALWAYS,
        "rate_limits": [
            counted("requests"),
            counted("bytes") | {"hits_addend": {"format": f"%REQ({BYTES_HEADER})%"}},
        ],
        "descriptors": buckets,
        "max_dynamic_descriptors": MOST_TENANTS,
        "response_headers_to_add": [{"header": {"key": "retry-after", "value": str(RETRY_AFTER_SECONDS)}}],
    }


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


def addresses_config(limits: GatewayLimits) -> dict[str, Any]:
    """Return the configuration of the filter that refuses addresses from which a tenant takes nothing (`rbac`)."""
    if not limits.addresses:
        return {}
    tree = {
        "input": _input("tenant", "type.matcher.v3.HttpRequestHeaderMatchInput", header_name=TENANT_HEADER),
        "exact_match_map": {"map": {tenant: _within(ranges) for tenant, ranges in sorted(limits.addresses.items())}},
    }
    return {"matcher": {"matcher_tree": tree, "on_no_match": _action("anywhere")}}


def limits_bytes(limits: GatewayLimits) -> int:
    """Return how large the two configurations are as they are written."""
    return sum(
        len(json.dumps(part, separators=(",", ":"))) for part in (rates_config(limits, 1), addresses_config(limits))
    )
