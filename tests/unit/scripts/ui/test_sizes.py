"""Sizes in words: the text of each power of 1000, and beyond the largest unit."""

import pytest

from scripts.ui.sizes import in_units


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567_890, "1.2 GB"), (5 * 10**18, "5000.0 PB")],
)
def test_a_size_is_written_in_the_largest_unit_that_it_fills(size: int, text: str) -> None:
    assert in_units(size) == text
