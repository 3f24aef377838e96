"""The cost of one more tenant with Terraform: `.venv/bin/python -m bench.terraform [TENANTS]`, after `make setup`.

Creates the same resources in the same moto by Terraform (`bench/terraform_project.py`). Without a `terraform` on PATH or its
provider it prints the reason and ends. All of Terraform's tenants are really created, because Terraform reads each from AWS
before it plans. For one more tenant beside others, Pulumi's are copies, as in `bench.scale`. For all tenants from nothing,
Pulumi creates them in stacks of their own, as the documentation recommends.
"""

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cost import Cost, cost_of
from bench.figure import WIDTH, Figure, SkippedError, finish
from bench.machine import machine
from bench.scale import (
    FROM_NOTHING,
    INSTANCE,
    MODEL,
    ONE_MORE,
    ONE_MORE_THERE,
    Bench,
    model_of,
    new_bench,
    renamed,
)
from bench.stack_files import forget_files
from bench.terraform_project import SETTINGS, command, missing, write
from scripts.engine.pulumi import COLLECTOR

ITS_INSTANCE = "benchother"  # the other instance in the same account
PARALLEL = 100  # resources at a time: each of a tenant's three lifecycle rules takes 55 s
TITLE = "Pulumi's times to Terraform's"
OWN_STACKS = "Pulumi, own stacks"
MOST_FROM_NOTHING = 0.5  # all tenants from nothing: `tenants add` of all of them to Terraform's apply
MOST_ONE_MORE = 0.6  # Pulumi's update to Terraform's plan and apply

Row = tuple[str, str, Cost]
"""The tool, the step and its cost."""


class Terraform:
    """An instance that Terraform manages in a folder, with the resources in the state of Pulumi's instance."""

    def __init__(self, folder: Path, environment: dict[str, str], state: list[dict[str, Any]]) -> None:
        self._folder = folder
        # Terraform runs with its defaults, without the settings for Pulumi's engine.
        self._environment = {name: value for name, value in environment.items() if name not in COLLECTOR} | SETTINGS
        self._base = [entry for entry in state if entry not in (model := model_of(state))]
        self._model = model
        self.write([])
        self.run("init")

    def write(self, tenants: Sequence[str]) -> None:
        """Write the configuration with the model tenant and these."""
        copies = [entry for name in tenants for entry in renamed(self._model, name)]
        write(self._folder, [*self._base, *self._model, *copies], {INSTANCE: ITS_INSTANCE})

    def run(self, *arguments: str) -> tuple[Cost, str]:
        """Run `terraform` with these arguments; return its cost and its output."""
        return cost_of(command(*arguments), self._folder, self._environment, [self._folder / "terraform.tfstate"])


def waited(output: str) -> float:
    """Return the longest time, in seconds, that an apply took for one resource.

    The provider waits until AWS has a record (15 s) or a lifecycle rule (55 s) everywhere. Pulumi's official plugin
    waits too, but the stand-in does not. So this wait is no difference between the engines.
    """
    times = re.findall(r"^\S+: Creation complete after (?:(\d+)m)?(\d+)s", output, re.MULTILINE)
    return max(60.0 * int(minutes or 0) + int(seconds) for minutes, seconds in times)


def by_terraform(terraform: Terraform, others: Sequence[str]) -> tuple[list[tuple[str, Cost]], float]:
    """Measure the model tenant with `others`, then one more; return the rows, and the seconds of the last wait."""
    terraform.write(others)
    rows = [(FROM_NOTHING, terraform.run("apply", "-auto-approve", f"-parallelism={PARALLEL}")[0])]
    plan = ("plan", "-detailed-exitcode")  # fails where the plan has changes
    rows += [
        ("plan without changes", terraform.run(*plan)[0]),
        ("plan without changes, without asking AWS", terraform.run(*plan, "-refresh=false")[0]),
    ]
    terraform.write([*others, ONE_MORE])
    rows.append((f"{ONE_MORE_THERE}: plan", terraform.run("plan", "-out", "one-more")[0]))
    applied, output = terraform.run("apply", "one-more")
    rows.append((f"{ONE_MORE_THERE}: apply of that plan", applied))
    return rows, waited(output)


def compared(bench: Bench, count: int) -> tuple[list[Row], float]:
    """Return the costs by tool and step with `count` tenants, and the seconds of Terraform's last wait."""
    bench.tenants(MODEL)
    bench.cost("up")
    state = bench.exported("--show-secrets")["deployment"]["resources"]
    with tempfile.TemporaryDirectory() as folder:
        others = [f"t{number}" for number in range(count - 1)]
        its, waits = by_terraform(Terraform(Path(folder), bench.environment, state), others)
    ours = bench.shared(count)
    return [("Terraform", *row) for row in its] + [("Pulumi", *row) for row in ours], waits


def figures(rows: Sequence[Row], waits: float, count: int) -> list[Figure]:
    """Return the ratios of Pulumi's times to Terraform's."""
    seconds = {(tool, step): entry.seconds for tool, step, entry in rows}
    plan_and_apply = sum(entry for (_, step), entry in seconds.items() if step.startswith(f"{ONE_MORE_THERE}: "))
    one_more = seconds["Pulumi", ONE_MORE_THERE]
    what = f"{ONE_MORE_THERE} beside {count}, to Terraform's plan and apply"
    return [
        Figure(
            f"{count} tenants from nothing in own stacks, to Terraform",
            seconds[OWN_STACKS, FROM_NOTHING] / seconds["Terraform", FROM_NOTHING],
            most=MOST_FROM_NOTHING,
        ),
        Figure(what, one_more / plan_and_apply, most=MOST_ONE_MORE),
        Figure(f"{what}, without the {waits:.0f} s in which it waits for AWS", one_more / (plan_and_apply - waits)),
    ]


def measure(count: int = 100) -> list[Figure]:
    """Measure, print the table, and return the ratios; raises `SkippedError` without Terraform or its provider."""
    with tempfile.TemporaryDirectory() as folder:
        if reason := missing(Path(folder), os.environ):
            raise SkippedError(reason)
    forget_files(INSTANCE)
    with new_bench() as bench:
        rows, waits = compared(bench, count)
    with new_bench() as bench:
        rows += [(OWN_STACKS, *row) for row in bench.side_by_side(count)]
    table = Table("by", "what", "seconds", "s of CPU", "MiB", "state, bytes", title=f"{count} tenants; {machine()}")
    for tool, step, entry in rows:
        times = (f"{seconds:.1f}" for seconds in (entry.seconds, entry.processor))
        table.add_row(tool, step, *times, f"{entry.memory:.0f}", f"{entry.state:,}")
    Console(width=WIDTH).print(table)
    return figures(rows, waits, count)


def main() -> None:
    """Measure, print the tables, and exit with an error where a target is missed."""
    try:
        measured = measure(*map(int, sys.argv[1:]))
    except SkippedError as reason:
        print(f"skipped: {reason}")
        return
    finish(TITLE, measured)


if __name__ == "__main__":
    main()
