"""What the ratios of the gateway's bench compare."""

from dataclasses import replace

import pytest

from bench.gateway import VARIANTS, Generation, Ratio, ratios
from bench.gateway_processes import TENANTS, Result, Variant

EACH, ONE = Variant("on", "push", TENANTS, TENANTS), Variant("on", "push", 1, TENANTS)
BASE = replace(EACH, access="off"), replace(ONE, access="off")


def turn(each: float, one: float, base_each: float, base_one: float) -> dict[Variant, Result]:
    rates = {EACH: each, ONE: one, BASE[0]: base_each, BASE[1]: base_one}
    return {variant: Result(rate, 1, 1, 1) for variant, rate in rates.items()}


def generation(*turns: dict[Variant, Result]) -> Generation:
    return {variant: [results[variant] for results in turns] for variant in (EACH, ONE, *BASE)}


def test_every_ratio_is_of_measured_variants() -> None:
    assert {variant for ratio in ratios() for variant in (ratio.of, ratio.to, *(ratio.base or ()))} <= {*VARIANTS}


def test_a_variant_is_in_one_group() -> None:
    assert len(VARIANTS) == len({*VARIANTS})


def test_a_generation_has_the_median_of_the_ratios_of_its_turns() -> None:
    turns = generation(turn(90, 100, 1, 1), turn(10, 100, 1, 1), turn(95, 100, 1, 1))
    assert Ratio("", EACH, ONE).by_generation([turns, generation(turn(80, 100, 1, 1))]) == [0.8, 0.9]


def test_a_variant_with_more_turns_is_compared_in_those_that_both_have() -> None:
    results = {variant: [Result(rate, 1, 1, 1) for rate in rates] for variant, rates in ((EACH, [90]), (ONE, [100, 9]))}
    assert Ratio("", EACH, ONE).by_generation([results]) == [0.9]


def test_the_cost_of_many_tenants_is_relative_to_that_without_authentication() -> None:
    ratio = Ratio("", EACH, ONE, base=BASE)
    assert ratio.by_generation([generation(turn(90, 100, 180, 200))]) == [1]
    assert ratio.by_generation([generation(turn(72, 100, 180, 200))]) == [pytest.approx(0.8)]


def test_the_targets_for_many_tenants_have_a_base() -> None:
    for ratio in ratios():
        if ratio.of.tenants != ratio.to.tenants and ratio.least is not None:
            assert ratio.base == (replace(ratio.of, access="off"), replace(ratio.to, access="off"))


def test_the_share_of_a_core_is_the_time_of_all_requests() -> None:
    assert Result(rate=8000, p50=1, p99=1, cpu=120).core == pytest.approx(0.96)
