"""The units of durations and quantities."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from components.core.units import (
    LONGEST_RETENTION,
    QUANTITY,
    RETENTION_UNITS,
    TOKEN_UNITS,
    amount,
    hours,
    interval_seconds,
)
from scripts.ui.durations import seconds_of


def test_only_the_year_differs_between_retention_and_tokens() -> None:
    shared = RETENTION_UNITS.keys() & TOKEN_UNITS.keys()
    assert {unit for unit in shared if RETENTION_UNITS[unit] != TOKEN_UNITS[unit]} == {"y"}
    assert hours("1y") == 365 * 24
    assert seconds_of("10y") == 315_576_000  # the first Opstrace's tokens


def test_a_duration_s_error_says_how_long_a_year_is() -> None:
    with pytest.raises(ValueError, match=r"a year has 365 days"):
        hours("1 y")
    with pytest.raises(ValueError, match=r"a year has 365\.25 days"):
        seconds_of("1 y")


@given(st.integers(1, 9_999_999), st.sampled_from(sorted(RETENTION_UNITS)))
def test_every_duration_up_to_100_years_is_accepted(count: int, unit: str) -> None:
    seconds = count * RETENTION_UNITS[unit]
    if seconds <= LONGEST_RETENTION:
        assert hours(f"{count}{unit}") * 3600 == seconds
    else:
        with pytest.raises(ValueError, match="more than a hundred years"):
            hours(f"{count}{unit}")


@given(st.from_regex(QUANTITY.removesuffix("$") + r"\Z"))
def test_a_quantity_is_what_kubernetes_reads(quantity: str) -> None:
    assert math.isclose(amount(quantity), parse_quantity(quantity), rel_tol=1e-12)  # type: ignore[no-untyped-call]  # the client of Kubernetes has no type there


def test_an_interval_is_in_seconds_minutes_or_hours() -> None:
    assert [interval_seconds(text) for text in ("45s", "5m", "1h")] == [45, 300, 3600]
    for text in ("5", "5 m", "0s", "1d", "5m "):
        with pytest.raises(ValueError, match="is no interval such as 30s, 5m or 1h"):
            interval_seconds(text)
