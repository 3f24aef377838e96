"""The cost of authentication at the gateway: `.venv/bin/python -m bench.gateway`, as root, after `make setup`.

Each gateway is an Envoy with the gateway's own configuration and one worker on one core. Another core runs the load
(wrk), the upstream, and a name server with every tenant. The upstream is an Envoy that reads a request to its end and
answers 200.

- All gateways run at the same time. The bench measures those of a group in turn, for one second or five, in both orders,
  because a machine's speed changes from second to second. The group with most of the limits has eight turns.
- The same load runs for a second or two before the first turn. Envoy drops names that nothing uses for 12 s, and their
  connections, and all turns of a group follow each other faster. A thousand tenants would have theirs anew within each measurement.
- Each number of connections has gateways of its own. After a load of 1,000 connections, a gateway takes up to a third more for
  a push over 32. A gateway that is only measured over 32 would compare too well.
- Then all processes are started again: two processes with the same configuration differ by 10%, because of their memory
  layout. A generation is one such set of processes.
- The result for two variants is the median of their ratio in a turn, within a generation and over all generations.
- The load is closed: each connection has one request at a time.
- The cost of a thousand tenants is measured twice, each time beside one tenant. The first load has a thousand
  connections, because each tenant has a client. The second has few connections; there the thousand connections to the
  back ends cost most.
- Without authentication, a gateway has as many names and connections to back ends. So the target compares the cost of a
  thousand tenants with the cost without authentication.
- The table shows which share of its core a gateway uses. If it is well below 100%, the load was the limit, not the gateway.
"""

import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table

from bench.figure import Figure, finish
from bench.gateway_processes import CLIENTS, TENANTS, Access, Bench, Load, Result, Variant, push_body
from bench.machine import machine

TITLE = "Ratios at the gateway"
GENERATIONS, TURNS = 9, 8
LEAST: dict[Load, float] = {"push": 0.8, "small": 0.6}  # of the throughput without authentication
LEAST_OF_PLAIN = 0.8  # of the throughput of pushes with neither authentication nor limits
# Relative to the same ratio without authentication, which was 0.94 and 1.01 for pushes, and 0.96 and 0.97 for the smallest requests
# (bench/results/gateway-*.md): a target for the bare ratio could be within that cost.
LEAST_OF_MANY = 0.95


@dataclass(frozen=True)
class Group:
    """Gateways that are measured in turn under a load, and how often; each has an access and a number of tenants."""

    gateways: Sequence[tuple[Access, int]]
    clients: int
    turns: int = 1

    def variants(self, load: Load) -> list[Variant]:
        """Return the gateways with a load."""
        return [Variant(access, load, tenants, self.clients) for access, tenants in self.gateways]


GROUPS = (
    Group([("off", 1), ("off, without limits", 1), ("on", 1)], CLIENTS, TURNS),
    Group([("off", TENANTS), ("on", TENANTS), ("on, without JWT cache", 1)], CLIENTS),
    Group([("off", TENANTS), ("off", 1), ("on", 1), ("on", TENANTS)], TENANTS),
)
VARIANTS = [variant for group in GROUPS for load in get_args(Load) for variant in group.variants(load)]

Generation = Mapping[Variant, Sequence[Result]]
"""What each turn of a variant has measured."""


@dataclass(frozen=True)
class Ratio:
    """The ratio of a figure of variant `of` to that of variant `to`, with its limit.

    If `base` has two variants, it is relative to their ratio.
    """

    words: str
    of: Variant
    to: Variant
    figure: str = "rate"
    base: tuple[Variant, Variant] | None = None
    least: float | None = None
    most: float | None = None

    def by_generation(self, generations: Iterable[Generation]) -> list[float]:
        """Return the ratio of each generation in ascending order. It is the median of the turns that all variants have."""

        def figures(generation: Generation, variant: Variant) -> list[float]:
            return [float(getattr(result, self.figure)) for result in generation[variant]]

        def of_turns(generation: Generation, of: Variant, to: Variant) -> list[float]:
            pairs = zip(figures(generation, of), figures(generation, to), strict=False)
            return [one / other for one, other in pairs]

        def ratio(generation: Generation) -> float:
            found = statistics.median(of_turns(generation, self.of, self.to))
            return found / statistics.median(of_turns(generation, *self.base)) if self.base else found

        return sorted(map(ratio, generations))


def ratios() -> Iterator[Ratio]:
    """Yield what the bench compares, in the order of its table."""
    for load, least in LEAST.items():
        off, on = Variant("off", load, 1), Variant("on", load, 1)
        off_many, on_many = Variant("off", load, TENANTS), Variant("on", load, TENANTS)
        yield Ratio(f"{load}: throughput with authentication to that without", on, off, least=least)
        plain = Variant("off, without limits", load, 1)
        least_of_plain = LEAST_OF_PLAIN if load == "push" else None
        yield Ratio(f"{load}: with authentication and limits to neither", on, plain, least=least_of_plain)
        yield Ratio(
            f"{load}: with limits to that without, both without authentication",
            off,
            plain,
        )
        yield Ratio(f"{load}: p99 with authentication to that without", on, off, "p99", most=1.5)
        each, one = Variant("on", load, TENANTS, TENANTS), Variant("on", load, 1, TENANTS)
        base = replace(each, access="off"), replace(one, access="off")
        words = f"{load}: {TENANTS} tenants to one, over {TENANTS} connections"
        yield Ratio(words, each, one)
        yield Ratio(f"{load}: the same, without authentication", *base)
        yield Ratio(f"{words}, to the same without authentication", each, one, base=base, least=LEAST_OF_MANY)
        yield Ratio(f"{load}: {TENANTS} tenants to one, over {CLIENTS} connections", on_many, on)
        yield Ratio(f"{load}: the same, without authentication", off_many, off)


def _turns(bench: Bench, variants: Sequence[Variant], turns: int) -> Generation:
    """Measure variants in turn, so often; every second turn is in the reverse order."""
    measured: dict[Variant, list[Result]] = {variant: [] for variant in variants}
    for turn in range(turns):
        for variant in variants[:: -1 if turn % 2 else 1]:
            measure_one = bench.measured if turn else bench.warmed
            measured[variant].append(measure_one(variant.gateway, variant))
    return measured


def _generation(number: int) -> Generation:
    """Start all processes and measure all groups; `number` is that of the generation."""
    measured: dict[Variant, Sequence[Result]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(Path(folder), stack)
        for gateway, access in {variant.gateway: variant.access for variant in VARIANTS}.items():
            bench.start(gateway, access)
        for group in GROUPS:
            for load in get_args(Load):
                variants = group.variants(load)[:: -1 if number % 2 else 1]
                measured |= _turns(bench, variants, group.turns)
    return measured


def measure() -> list[Figure]:
    """Measure, print the tables, and return the ratios that have a limit."""
    generations: list[Generation] = []
    for number in range(GENERATIONS):
        print(f"generation {number + 1} of {GENERATIONS}", file=sys.stderr)
        generations.append(_generation(number))
    console = Console(width=120)
    size = len(push_body())
    title = f"The gateway on one core; a push has {size:,} bytes; {machine()}"
    columns = ("authentication", "load", "tenants", "connections", "requests/s", "p50 ms", "p99 ms", "of its core")
    table = Table(*columns, title=title, title_justify="left")
    for variant in VARIANTS:
        results = [result for generation in generations for result in generation[variant]]
        rate, p50, p99, core = (
            statistics.median(getattr(result, name) for result in results) for name in ("rate", "p50", "p99", "core")
        )
        counts = (f"{variant.tenants:,}", f"{variant.clients:,}")
        table.add_row(variant.access, variant.load, *counts, f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{core:.0%}")
    console.print(table)
    table = Table("ratio", "measured", "from", "to", title_justify="left")
    figures = []
    for ratio in ratios():
        measured = ratio.by_generation(generations)
        middle = statistics.median(measured)
        table.add_row(ratio.words, *(f"{figure:.2f}" for figure in (middle, measured[0], measured[-1])))
        if ratio.least is not None or ratio.most is not None:
            figures.append(Figure(ratio.words, middle, most=ratio.most, least=ratio.least))
    console.print(table)
    return figures


if __name__ == "__main__":
    finish(TITLE, measure())
