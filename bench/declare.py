"""The cost of declaring resources: `.venv/bin/python -m bench.declare [TENANTS...]`, after `make setup`.

For each row a process imports the program and declares an instance with that number of tenants against the SDK's mocks.
It does so with Python's garbage collector on and off (`components/shared/startup.py`). No engine runs.
"""

import json
import os
import resource
import subprocess
import sys

import click
from rich.console import Console
from rich.table import Table

from bench.machine import machine
from components.shared.startup import disable_garbage_collector
from scripts.stackfile.file import ROOT

MIB = 1024  # in KiB, as Linux counts memory


def _declare(tenants: int) -> int:
    """Declare an instance with this number of tenants; return the number of resources."""
    from tests.support.factories import settings  # noqa: PLC0415 its import is timed, with the collector on or off
    from tests.support.pulumi_mocks import declared  # noqa: PLC0415 its import is timed, too

    return len(declared(settings(tenants=[{"name": f"tenant{number}"} for number in range(tenants)])))


def _measured(tenants: int, *, collector: bool) -> dict[str, float]:
    """Return the processor seconds and the MiB of a process, and the number of resources that it declared."""
    command = [sys.executable, "-P", "-m", "bench.declare", "--one", "--on" if collector else "--off", str(tenants)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    measured: dict[str, float] = json.loads(output.splitlines()[-1])
    return measured | {"seconds": seconds}


@click.command()
@click.argument("tenants", type=int, nargs=-1)
@click.option("--one", is_flag=True, hidden=True)
@click.option("--on/--off", "collector", hidden=True)
def main(tenants: tuple[int, ...], one: bool, collector: bool) -> None:
    """Print the table; with --one, measure one row in this process."""
    if one:
        if not collector:
            disable_garbage_collector()
        resources = _declare(tenants[0])
        print(json.dumps({"resources": resources, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB}))
        return
    table = Table("tenants", "resources", "on: s of CPU", "MiB", "off: s of CPU", "MiB", "ratio", title=machine())
    for count in tenants or (1, 10, 100):
        on, off = (_measured(count, collector=state) for state in (True, False))
        figures = [f"{row[key]:.1f}" for row in (on, off) for key in ("seconds", "memory")]
        table.add_row(str(count), str(int(on["resources"])), *figures, f"{off['seconds'] / on['seconds']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
