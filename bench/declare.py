"""What declaring costs the program, without an engine: `.venv/bin/python -m bench.declare [TENANTS...]`, after `make setup`.

Each row is a process of its own that imports the program's parts and declares an instance with so many tenants against
the SDK's mocks, with Python's collector of cyclic garbage on and off (`components/short_lived.py`).
"""

import json
import resource
import subprocess
import sys

import click
from rich.console import Console
from rich.table import Table

from bench.machine import machine
from components.short_lived import collect_no_garbage
from scripts.stackfile import ROOT

MIB = 1024  # in KiB, as Linux counts memory


def _declare(tenants: int) -> int:
    """Declare an instance with so many tenants; return the number of resources."""
    from tests.unit.given import settings
    from tests.unit.program import declared

    return len(declared(settings(tenants=[{"name": f"tenant{number}"} for number in range(tenants)])))


def _measured(tenants: int, *, collector: bool) -> dict[str, float]:
    """Return what a process of its own needs: seconds of processor time, MiB, and how many resources it declared."""
    command = [sys.executable, "-m", "bench.declare", "--one", "--on" if collector else "--off", str(tenants)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found | {"seconds": seconds}


@click.command()
@click.argument("tenants", type=int, nargs=-1)
@click.option("--one", is_flag=True, hidden=True)
@click.option("--on/--off", "collector", hidden=True)
def main(tenants: tuple[int, ...], one: bool, collector: bool) -> None:
    """Print the table, or with --one be one row's process."""
    if one:
        if not collector:
            collect_no_garbage()
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
