"""The limits of each tenant's traffic at the gateway (`opstrace:dataApi.rates`, `opstrace:dataApi.tenants`)."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from components.config.base import NotNull, Quantity, Section, checked_ranges, reject_empty, value_without_problems
from components.core.units import amount
from components.gateway.limits import GatewayLimits, Rate, TenantRates

MOST = 2**31  # Envoy counts in 32 bits
Amount = Annotated[int, Field(ge=1, le=MOST)]
LEAST_BYTE_BURST = 16 * 2**20  # a push that is larger than the burst never passes
RATES_WITH_BURSTS = (
    ("requests_per_second", "request_burst"),
    ("bytes_per_second", "byte_burst"),
    ("connections_per_second", "connection_burst"),
)


class RatesConfig(Section):
    """How much a tenant may send to the gateway. A request above a limit is answered 429 with Retry-After."""

    requests_per_second: Annotated[
        Amount | None,
        NotNull(),
        Field(description="Requests per second, at all pods of the gateway together. Default: no limit."),
    ] = None
    request_burst: Annotated[
        Amount | None,
        NotNull(),
        Field(
            description="Requests that may come at once, at each pod of the gateway; at least requestsPerSecond. "
            "Default: twice requestsPerSecond."
        ),
    ] = None
    bytes_per_second: Annotated[
        Quantity | None,
        NotNull(),
        Field(
            description="Bytes of request bodies per second, such as 20Mi, at all pods of the gateway together. "
            "Default: no limit."
        ),
    ] = None
    byte_burst: Annotated[
        Quantity | None,
        NotNull(),
        Field(
            description="Bytes that may come at once, at each pod of the gateway; at least bytesPerSecond. A larger body "
            "never passes. Default: twice bytesPerSecond, and 16Mi at least."
        ),
    ] = None
    connections_per_second: Annotated[
        Amount | None,
        NotNull(),
        Field(description="New connections per second, at all pods of the gateway together. Default: no limit."),
    ] = None
    connection_burst: Annotated[
        Amount | None,
        NotNull(),
        Field(
            description="New connections that may come at once, at each pod of the gateway; at least "
            "connectionsPerSecond. Default: twice connectionsPerSecond."
        ),
    ] = None

    _not_empty = field_validator("*", mode="before")(reject_empty)

    @field_validator("bytes_per_second", "byte_burst")
    @classmethod
    def _countable(cls, quantity: str) -> str:
        if not 1 <= amount(quantity) <= MOST:
            raise ValueError(f"{quantity!r} is not between 1 and {MOST} bytes")
        return quantity

    @model_validator(mode="after")
    def _bursts_hold_a_second(self) -> "RatesConfig":
        problems = (
            _burst_problem(self.requests_per_second, self.request_burst, ("requestsPerSecond", "requestBurst")),
            _burst_problem(_bytes(self.bytes_per_second), _bytes(self.byte_burst), ("bytesPerSecond", "byteBurst")),
            _burst_problem(
                self.connections_per_second, self.connection_burst, ("connectionsPerSecond", "connectionBurst")
            ),
        )
        return value_without_problems([problem for problem in problems if problem], self)

    def with_defaults(self, base: "RatesConfig") -> "RatesConfig":
        """Return these rates, with those of `base` for rates that are not set. A burst comes with its rate."""
        values: dict[str, Any] = {}
        for rate, burst in RATES_WITH_BURSTS:
            source = self if getattr(self, rate) is not None else base
            values |= {rate: getattr(source, rate), burst: getattr(source, burst)}
        return RatesConfig.model_construct(**values)

    @property
    def rates(self) -> TenantRates:
        """The rates as the gateway takes them, with their bursts."""
        return TenantRates(
            _rate(self.requests_per_second, self.request_burst),
            _rate(_bytes(self.bytes_per_second), _bytes(self.byte_burst), LEAST_BYTE_BURST),
            _rate(self.connections_per_second, self.connection_burst),
        )


def _burst_problem(rate: int | None, burst: int | None, names: tuple[str, str]) -> str | None:
    """Return the problem of a burst, None if it has none; `names` are the names of the rate and the burst."""
    if burst is None:
        return None
    if rate is None:
        return f"{names[1]} has no effect without {names[0]}; set {names[0]} too"
    if burst < rate:
        return f"{names[1]} is less than {names[0]}, so the rate could never be reached; set it to {rate} at least"
    return None


def _rate(per_second: int | None, burst: int | None, least_burst: int = 1) -> Rate | None:
    return None if per_second is None else Rate(per_second, burst or max(min(2 * per_second, MOST), least_burst))


def _bytes(quantity: str | None) -> int | None:
    return None if quantity is None else round(amount(quantity))


class AddressRatesConfig(Section):
    """How much one client address may send, with any token. A request above the limit is answered 429."""

    connections_per_second: Annotated[
        Amount | None,
        NotNull(),
        Field(
            description="New connections per second from one address, at all pods of the gateway together. Clients behind "
            "one NAT gateway share an address. Default: no limit."
        ),
    ] = None
    connection_burst: Annotated[
        Amount | None,
        NotNull(),
        Field(
            description="New connections that may come at once from one address, at each pod of the gateway; at least "
            "connectionsPerSecond. Default: twice connectionsPerSecond."
        ),
    ] = None

    _not_empty = field_validator("*", mode="before")(reject_empty)

    @model_validator(mode="after")
    def _burst_holds_a_second(self) -> "AddressRatesConfig":
        problem = _burst_problem(
            self.connections_per_second, self.connection_burst, ("connectionsPerSecond", "connectionBurst")
        )
        return value_without_problems([problem] if problem else [], self)

    @property
    def connections(self) -> Rate | None:
        """The rate of new connections as the gateway takes it, with its burst."""
        return _rate(self.connections_per_second, self.connection_burst)


class TenantApiConfig(Section):
    """What the gateway does differently for one tenant."""

    rates: Annotated[
        RatesConfig,
        Field(description="Rates of this tenant. Default for each rate: the rate in dataApi.rates."),
    ] = RatesConfig()
    allowed_cidrs: Annotated[
        list[str] | None,
        NotNull(),
        Field(
            description="IPv4 ranges of clients that may use the tenant's API. The gateway checks them after the token. "
            "Default: every address that dataApi.allowedCidrs admits.",
            min_length=1,
        ),
    ] = None

    _not_empty = field_validator("allowed_cidrs", mode="before")(reject_empty)
    _ranges = field_validator("allowed_cidrs")(checked_ranges)


def gateway_limits(rates: RatesConfig, tenants: Mapping[str, TenantApiConfig]) -> GatewayLimits:
    """Return the limits of the gateway, from the settings for all tenants and for single ones."""
    common = rates.rates
    own = {name: tenant.rates.with_defaults(rates).rates for name, tenant in tenants.items()}
    ranges = {name: tuple(tenant.allowed_cidrs) for name, tenant in tenants.items() if tenant.allowed_cidrs}
    return GatewayLimits(common, {name: limits for name, limits in own.items() if limits != common}, ranges)
