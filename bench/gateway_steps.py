"""What each step at the gateway costs: `.venv/bin/python -m bench.gateway_steps`, as root, after `make setup`.

The first gateway is a plain Envoy that forwards to one tenant. Each further one adds a step, until the last one has all
filters of an instance's gateway. All run at the same time, on one core. The load on another core is that of
`bench.gateway` with one tenant and 32 connections. A figure is the CPU time of the gateway's process for a request, which
other work on the machine changes less than throughput. A step costs the median of the differences to the gateway before
it, over all rounds.
"""

import itertools
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from bench.figure import WIDTH, Figure, finish
from bench.gateway_processes import NAMES, Bench, Load, Result, Variant
from bench.machine import machine
from components.gateway.lua_filters import UPSTREAM_HEADER

TITLE = "Steps at the gateway"
ROUNDS, GENERATIONS = 5, 3
UPSTREAM = f"cortex.{NAMES[0]}-tenant.svc.cluster.local"  # what lua/send.lua sets
PLAIN, LOG = "plain Envoy: routes, DNS cache, one tenant", "access log"
# Each step in the order in which it is added, with its filters. The last filters forward the request.
STEPS: Mapping[str, tuple[str, ...]] = {
    PLAIN: ("forward", "closed-path", "router"),
    LOG: (),
    "tenant of the host, form of the credentials": ("before-cortex", "before-loki", "before-instance"),
    "signature and claims of the token": ("token",),
    "rights of the token": ("access", "token-ends"),
    "client addresses": ("addresses",),
    "rate of connections": ("known-connections", "connections", "refuse-connection"),
    "rate of requests": ("rates",),
    "rate of bytes": ("whole-bodies", "before-bytes", "bytes"),
    "answers to pushes, cut bodies, closed connections": ("push-answers", "cut-body", "close-refused"),
}

Round = Mapping[str, Result]


def reduced(config: dict[str, Any], last: str) -> None:
    """Reduce a gateway's configuration to the steps until `last`."""
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    steps = [*STEPS][: [*STEPS].index(last) + 1]
    kept = {name for step in steps for name in STEPS[step]}
    unknown = {entry["name"] for entry in manager["http_filters"]} - {
        name for names in STEPS.values() for name in names
    }
    if unknown:
        sys.exit(f"these filters belong to no step: {', '.join(sorted(unknown))}")
    manager["http_filters"] = [entry for entry in manager["http_filters"] if entry["name"] in kept]
    for host in manager["route_config"]["virtual_hosts"]:
        for part in (host, *host["routes"]):
            own = part.get("typed_per_filter_config", {})
            part["typed_per_filter_config"] = {name: value for name, value in own.items() if name in kept}
    if LOG not in steps:
        del manager["access_log"]
    if "before-cortex" not in kept:
        header = {"header": {"key": UPSTREAM_HEADER, "value": UPSTREAM}}
        mutations = manager["early_header_mutation_extensions"][0]["typed_config"]["mutations"]
        mutations.append({"append": header})


def _generation() -> list[dict[Load, Round]]:
    """Start all gateways and measure `ROUNDS` rounds."""
    loads = [Variant("on", load, 1) for load in get_args(Load)]
    rounds: list[dict[Load, Round]] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(Path(folder), stack)
        for step in STEPS:
            bench.start(step, "on", partial(reduced, last=step))
        for number in range(ROUNDS):
            order = [*STEPS][:: -1 if number % 2 else 1]
            rounds.append({load.load: {step: bench.warmed(step, load) for step in order} for load in loads})
    return rounds


def costs(rounds: list[Round]) -> dict[str, float]:
    """Return what each step adds to the CPU time of a request, in microseconds; the plain Envoy's is its whole time."""
    names = [*STEPS]
    added = {
        step: statistics.median(round_[step].cpu - round_[before].cpu for round_ in rounds)
        for before, step in itertools.pairwise(names)
    }
    return {PLAIN: statistics.median(round_[PLAIN].cpu for round_ in rounds)} | added


def measure() -> list[Figure]:
    """Measure, print the table, and return the ratio of each load."""
    rounds = []
    for number in range(GENERATIONS):
        print(f"generation {number + 1} of {GENERATIONS}", file=sys.stderr)
        rounds += _generation()
    last, figures = [*STEPS][-1], []
    table = Table("load", "step", "µs a request", "of plain", title=machine(), title_justify="left")
    for load in get_args(Load):
        of_load = [round_[load] for round_ in rounds]
        by_step = costs(of_load)
        for step, cost in by_step.items():
            table.add_row(load, step, f"{cost:.1f}", f"{cost / by_step[PLAIN]:.0%}")
        table.add_section()
        ratio = statistics.median(round_[PLAIN].cpu / round_[last].cpu for round_ in of_load)
        figures.append(Figure(f"{load}: CPU time of a plain Envoy to that of the whole gateway", ratio))
    Console(width=WIDTH).print(table)
    return figures


if __name__ == "__main__":
    finish(TITLE, measure())
