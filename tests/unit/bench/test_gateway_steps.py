"""The steps at the gateway that the bench measures are those of the gateway's configuration."""

import json
from typing import Any

import pytest

from bench.gateway_processes import Result
from bench.gateway_steps import LOG, PLAIN, STEPS, costs, reduced
from components.gateway.envoy import bootstrap
from components.gateway.settings import GatewaySettings

SETTINGS = GatewaySettings(instance="a", domain="a.example.com", authentication=True, legacy_push_errors=False)


@pytest.fixture
def config() -> dict[str, Any]:
    return dict(json.loads(bootstrap(SETTINGS)))


def manager_of(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"])


def test_the_last_step_has_every_filter_of_the_gateway(config: dict[str, Any]) -> None:
    whole = manager_of(config)["http_filters"]
    reduced(config, [*STEPS][-1])
    assert manager_of(config)["http_filters"] == whole


def test_the_plain_gateway_forwards_and_does_nothing_else(config: dict[str, Any]) -> None:
    reduced(config, PLAIN)
    manager = manager_of(config)
    assert [entry["name"] for entry in manager["http_filters"]] == ["forward", "closed-path", "router"]
    assert "access_log" not in manager


def test_a_filter_without_a_step_is_named(config: dict[str, Any]) -> None:
    manager_of(config)["http_filters"].append({"name": "new"})
    with pytest.raises(SystemExit, match="belong to no step: new"):
        reduced(config, PLAIN)


def test_a_step_costs_the_median_of_its_differences() -> None:
    names = [*STEPS]

    def round_(*times: float) -> dict[str, Result]:
        return {name: Result(1, 1, 1, time) for name, time in zip(names, times, strict=True)}

    rest = [200.0] * (len(names) - 2)
    found = costs([round_(100, 110, *rest), round_(120, 150, *rest), round_(90, 105, *rest)])
    assert found[PLAIN] == 100 and found[LOG] == 15
