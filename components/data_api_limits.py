"""Settings of what the gateway lets through of each tenant (`opstrace:dataApi.rates`, `opstrace:dataApi.tenants`)."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from components.gateway_limits import GatewayLimits, Rate, TenantRates
from components.section import QUANTITY, Section, amount, checked_ranges, limit_said, raise_all

MOST = 2**31  # Envoy counts in 32 bits
Amount = Annotated[int, Field(ge=1, le=MOST)]
Quantity = Annotated[str, Field(pattern=QUANTITY)]
LEAST_BYTE_BURST = 16 * 2**20  # a larger push than the burst never passes
WITH_BURSTS = (
    ("requests_per_second", "request_burst"),
    ("bytes_per_second", "byte_burst"),
    ("connections_per_second", "connection_burst"),
)


class RatesConfig(Section):
    """How much a tenant may send to the gateway; more is answered 429 with Retry-After. No limit unless set."""

    requests_per_second: Annotated[Amount | SkipJsonSchema[None], Field(description="Requests a second.")] = None
    request_burst: Annotated[
        Amount | SkipJsonSchema[None],
        Field(description="Requests at once, at each pod of the gateway; twice requestsPerSecond unless set."),
    ] = None
    bytes_per_second: Annotated[
        Quantity | SkipJsonSchema[None], Field(description="Bytes of request bodies a second, such as 20Mi.")
    ] = None
    byte_burst: Annotated[
        Quantity | SkipJsonSchema[None],
        Field(
            description="Bytes at once, at each pod of the gateway: the largest body that passes. Twice bytesPerSecond "
            "unless set, and 16Mi at least."
        ),
    ] = None
    connections_per_second: Annotated[Amount | SkipJsonSchema[None], Field(description="New connections a second.")] = (
        None
    )
    connection_burst: Annotated[
        Amount | SkipJsonSchema[None],
        Field(
            description="New connections at once, at each pod of the gateway; twice connectionsPerSecond unless set."
        ),
    ] = None

    _said = field_validator("*", mode="before")(limit_said)

    @field_validator("bytes_per_second", "byte_burst")
    @classmethod
    def _whole(cls, quantity: str) -> str:
        if not 1 <= amount(quantity) <= MOST:
            raise ValueError(f"{quantity!r} is not between 1 and {MOST} bytes")
        return quantity

    @model_validator(mode="after")
    def _bursts_hold_a_second(self) -> "RatesConfig":
        problems = []
        for rate, burst, names in (
            (self.requests_per_second, self.request_burst, ("requestsPerSecond", "requestBurst")),
            (_bytes(self.bytes_per_second), _bytes(self.byte_burst), ("bytesPerSecond", "byteBurst")),
            (self.connections_per_second, self.connection_burst, ("connectionsPerSecond", "connectionBurst")),
        ):
            if burst is not None and rate is None:
                problems.append(f"{names[1]} means nothing without {names[0]}")
            elif burst is not None and rate is not None and burst < rate:
                problems.append(f"{names[1]} is less than {names[0]}, which could then never be reached")
        return raise_all(problems, self)

    def upon(self, base: "RatesConfig") -> "RatesConfig":
        """Return these rates where they say something, else those of `base`; a burst goes with its rate."""
        found: dict[str, Any] = {}
        for rate, burst in WITH_BURSTS:
            said = self if getattr(self, rate) is not None else base
            found |= {rate: getattr(said, rate), burst: getattr(said, burst)}
        return RatesConfig.model_construct(**found)

    @property
    def rates(self) -> TenantRates:
        """The rates as the gateway takes them, with their bursts."""
        return TenantRates(
            _rate(self.requests_per_second, self.request_burst),
            _rate(_bytes(self.bytes_per_second), _bytes(self.byte_burst), LEAST_BYTE_BURST),
            _rate(self.connections_per_second, self.connection_burst),
        )


def _rate(per_second: int | None, burst: int | None, least_burst: int = 1) -> Rate | None:
    return None if per_second is None else Rate(per_second, burst or max(min(2 * per_second, MOST), least_burst))


def _bytes(quantity: str | None) -> int | None:
    return None if quantity is None else round(amount(quantity))


class TenantApiConfig(Section):
    """What the gateway does otherwise for one tenant."""

    rates: Annotated[RatesConfig, Field(description="In place of dataApi.rates, where it says something.")] = (
        RatesConfig()
    )
    allowed_cidrs: Annotated[
        list[str] | SkipJsonSchema[None],
        Field(description="IPv4 ranges of clients; all that dataApi.allowedCidrs lets in unless set.", min_length=1),
    ] = None

    _said = field_validator("allowed_cidrs", mode="before")(limit_said)
    _ranges = field_validator("allowed_cidrs")(checked_ranges)


def gateway_limits(rates: RatesConfig, tenants: Mapping[str, TenantApiConfig]) -> GatewayLimits:
    """Return what the gateway lets through, from the settings for all tenants and for single ones."""
    whole = rates.rates
    own = {name: tenant.rates.upon(rates).rates for name, tenant in tenants.items()}
    ranges = {name: tuple(tenant.allowed_cidrs) for name, tenant in tenants.items() if tenant.allowed_cidrs}
    return GatewayLimits(whole, {name: found for name, found in own.items() if found != whole}, ranges)
