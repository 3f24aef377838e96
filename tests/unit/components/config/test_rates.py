"""The settings of the gateway's limits."""

from typing import Any

import pytest
from hypothesis import given

from components.config.load import from_settings
from components.config.rates import MOST
from components.core.errors import ConfigError
from components.gateway.limits import GatewayLimits, Rate, TenantRates
from tests.support.factories import JSON, settings


def limits(**api: Any) -> GatewayLimits:
    return from_settings(settings(dataApi=settings()["dataApi"] | api), "showdown").data_api.gateway_limits


def test_nothing_is_limited_unless_it_is_said() -> None:
    assert limits() == GatewayLimits()


def test_a_burst_is_two_seconds_and_never_less_than_a_large_push() -> None:
    rates = {"requestsPerSecond": 100, "bytesPerSecond": "1Mi", "connectionsPerSecond": 10}
    assert limits(rates=rates).rates == TenantRates(Rate(100, 200), Rate(2**20, 16 * 2**20), Rate(10, 20))
    rates |= {"requestBurst": 100, "byteBurst": "2M", "connectionBurst": 50}
    assert limits(rates=rates).rates == TenantRates(Rate(100, 100), Rate(2**20, 2_000_000), Rate(10, 50))


def test_no_burst_is_more_than_envoy_can_count() -> None:
    rates = limits(rates={"requestsPerSecond": MOST, "bytesPerSecond": "2Gi", "connectionsPerSecond": MOST}).rates
    assert rates == TenantRates(Rate(MOST, MOST), Rate(2**31, MOST), Rate(MOST, MOST)) and MOST < 2**32


NAMES = ["requestsPerSecond", "requestBurst", "bytesPerSecond", "byteBurst", "connectionsPerSecond", "connectionBurst"]


@pytest.mark.parametrize("name", NAMES)
def test_a_line_without_a_value_is_told(name: str) -> None:
    for api in ({"rates": {name: None}}, {"tenants": {"near": {"rates": {name: None}}}}):
        with pytest.raises(ConfigError, match=rf"rates.{name}: is empty; give it a value, or remove the line"):
            limits(**api)


def test_a_tenant_has_the_common_rates_where_it_says_nothing() -> None:
    rates = {"requestsPerSecond": 100, "requestBurst": 500, "bytesPerSecond": "20Mi", "connectionsPerSecond": 10}
    tenants = {
        "large": {"rates": {"requestsPerSecond": 1000}},
        "restless": {"rates": {"connectionsPerSecond": 20, "connectionBurst": 100}},
        "same": {"rates": {"requestsPerSecond": 100, "requestBurst": 500}},
        "near": {"allowedCidrs": ["10.0.0.0/8", "192.0.2.1/32"]},
    }
    result = limits(rates=rates, tenants=tenants)
    size = Rate(20 * 2**20, 40 * 2**20)
    assert result.exceptions == {
        "large": TenantRates(Rate(1000, 2000), size, Rate(10, 20)),
        "restless": TenantRates(Rate(100, 500), size, Rate(20, 100)),
    }
    assert result.addresses == {"near": ("10.0.0.0/8", "192.0.2.1/32")}


@pytest.mark.parametrize(
    ("api", "problem"),
    [
        ({"rates": {"requestsPerSecond": 0}}, "rates.requestsPerSecond"),
        ({"rates": {"requestBurst": 10}}, "requestBurst has no effect without requestsPerSecond"),
        ({"rates": {"requestsPerSecond": 10, "requestBurst": 5}}, "requestBurst is less than requestsPerSecond"),
        ({"rates": {"byteBurst": "1Mi"}}, "byteBurst has no effect without bytesPerSecond"),
        ({"rates": {"connectionBurst": 10}}, "connectionBurst has no effect without connectionsPerSecond"),
        ({"rates": {"bytesPerSecond": "many"}}, "rates.bytesPerSecond"),
        ({"rates": {"bytesPerSecond": "100m"}}, "'100m' is not between 1 and"),
        ({"rates": {"bytesPerSecond": "9Ti"}}, "'9Ti' is not between 1 and"),
        ({"rates": {"requestPerSecond": 1}}, "requestsPerSecond"),
        ({"tenants": {"Large": {}}}, "Large"),
        ({"tenants": {"near": {"allowedCidrs": []}}}, "tenants.near.allowedCidrs"),
        ({"tenants": {"near": {"allowedCidrs": None}}}, "is empty; give it a value, or remove the line"),
        ({"tenants": {"near": {"allowedCidrs": ["10.0.0.1/8"]}}}, "10.0.0.1/8 has host bits set"),
        ({"tenants": {"near": {"allowedCidrs": ["::/0"]}}}, "'::/0' is not an IPv4 range"),
        ({"tenants": {"near": {"retention": {}}}}, "retention"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(api: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        limits(**api)
    assert problem in str(refused.value)


def test_more_exceptions_than_a_config_map_holds_are_refused() -> None:
    tenants = {f"t{number}": {"rates": {"requestsPerSecond": number}} for number in range(1, 9001)}
    with pytest.raises(ConfigError, match="the gateway takes"):
        limits(tenants=tenants)


@given(rates=JSON, tenants=JSON)
def test_no_setting_raises_anything_but_config_error(rates: Any, tenants: Any) -> None:
    try:
        limits(rates=rates, tenants=tenants)
    except ConfigError:
        pass
