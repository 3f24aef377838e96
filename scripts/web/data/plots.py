"""Numbers, and the points of their sparklines. Templates make SVG of them, without styles and scripts."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 60, 16  # of a sparkline, in its own units
UNITS = ("", "k", "M", "G", "T")
UNIT = 1000
WHOLE_FROM = 10  # numbers from this one have no decimals
STEPS_MISSED = 2  # after so many steps without a point, a number is old


@dataclass(frozen=True)
class Plot:
    """A number over a time.

    Attributes:
        value: Its newest value; None where that is old.
        text: The value in words, or since when there is none.
        lines: The points of its lines in an SVG of 60 x 16. Between two lines, points are missing.
    """

    value: float | None
    text: str
    lines: tuple[str, ...]


def in_words(number: float) -> str:
    """Return a number in at most five characters, such as 0.2, 17 or 1.2k."""
    unit = 0
    while abs(number) >= UNIT and unit < len(UNITS) - 1:
        number, unit = number / UNIT, unit + 1
    if not math.isfinite(number):
        return str(number)
    is_whole = number == round(number) or (abs(number) >= WHOLE_FROM and unit == 0)
    return f"{number:.0f}{UNITS[unit]}" if is_whole else f"{number:.1f}{UNITS[unit]}"


def plot(points: Sequence[tuple[float, float]], start: float, end: float, step: float) -> Plot | None:
    """Return the plot of points, as seconds and value, every `step` seconds between two times; None without a finite value."""
    finite = [(at, value) for at, value in points if math.isfinite(value)]
    if not finite:
        return None
    last, value = finite[-1]
    lines = _lines(finite, start, end, step)
    if end - last > STEPS_MISSED * step:
        return Plot(None, f"no data since {time.strftime('%H:%M UTC', time.gmtime(last))}", lines)
    return Plot(value, in_words(value), lines)


def _lines(points: Sequence[tuple[float, float]], start: float, end: float, step: float) -> tuple[str, ...]:
    """Return the points of a sparkline's lines, from 0 to the highest value."""
    most = max(0.0, *(value for _, value in points)) or 1.0
    room = HEIGHT - 2  # so that the line's width is inside

    def place(at: float, value: float) -> str:
        across = (at - start) / max(end - start, 1e-9) * WIDTH
        return f"{across:.0f},{1 + room - room * max(value, 0) / most:.0f}"

    lines: list[list[str]] = []
    before = -math.inf
    for at, value in points:
        if at - before > STEPS_MISSED * step:
            lines.append([])
        lines[-1].append(place(at, value))
        before = at
    return tuple(" ".join(line) for line in lines)
