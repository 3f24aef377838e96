"""What a bench returns: measured figures, each with its target, and the table that shows them."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.machine import machine

WIDTH = 120


class SkippedError(Exception):
    """The bench cannot run on this machine; the text is the reason."""


@dataclass(frozen=True)
class Figure:
    """A measured value, and the limits within which it must be.

    Attributes:
        what: What was measured.
        value: The value in `unit`.
        unit: The unit, such as `s`; a ratio has none.
        most: The largest value that meets the target.
        least: The smallest value that meets the target.
    """

    what: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the value meets the target."""
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    @property
    def limit(self) -> float:
        """The limit of the target; 0 where the figure has none."""
        return self.least if self.most is None and self.least is not None else self.most or 0

    def row(self) -> tuple[str, ...]:
        """Return the cells of the figure in a table: what, target, measured, share of the target, and whether it is missed."""
        words = "at least" if self.least is not None else "at most"
        has_target = self.most is not None or self.least is not None
        target = f"{words} {self.limit:g} {self.unit}".rstrip() if has_target else ""
        share = f"{self.value / self.limit:.0%}" if self.limit else ""
        return self.what, target, f"{self.value:.2f} {self.unit}".rstrip(), share, "" if self.is_met else "MISSED"


def table(title: str) -> Table:
    """Return an empty table for the rows of figures; its title ends with this machine."""
    made = Table(title=f"{title}, on {machine()}", title_justify="left")
    for column in ("what", "target", "measured", "of the target", ""):
        made.add_column(column)
    return made


def missed(figures: Iterable[Figure]) -> list[str]:
    """Return what misses its target."""
    return [figure.what for figure in figures if not figure.is_met]


def finish(title: str, figures: Sequence[Figure]) -> None:
    """Print the figures of a bench, and exit with an error that names what misses its target."""
    made = table(title)
    for figure in figures:
        made.add_row(*figure.row())
    Console(width=WIDTH).print(made)
    if names := missed(figures):
        sys.exit(f"missed: {', '.join(names)}")
