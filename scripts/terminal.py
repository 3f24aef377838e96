"""What the command says while it works: progress on stderr, results on stdout."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Table

from components.errors import UserError

HEARTBEAT_SECONDS = 30
WIDEST_TABLE = 1000  # columns
stderr = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
JSON_ARRAY = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
JSON_OBJECT = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def note(text: str) -> None:
    """Print one line of progress on stderr."""
    stderr.print(text, markup=False)


def confirm_by_name(tenant: str, loss: str) -> None:
    """Say what will be lost, and go on only where the tenant's name is typed; raises `UserError` else."""
    note(loss)
    if click.prompt("Type the tenant's name to go on", err=True) != tenant:
        raise UserError(f"that was not {tenant}: nothing is changed")


def show_table(table: Table, *, to_stdout: bool = False) -> None:
    """Print a table as wide as it is: a narrow terminal folds its lines, but loses nothing of what is there to be copied."""
    Console(stderr=not to_stdout, highlight=False, emoji=False, width=WIDEST_TABLE).print(table)


def stdout_json(value: Any) -> None:
    """Print plain values as JSON on stdout."""
    click.echo(json.dumps(value, indent=2))


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


@dataclass
class Outcome:
    """How a step ended, in a word or a reason; the block may set it."""

    text: str = "failed"


@contextmanager
def step(what: str, estimate: float | None = None) -> Iterator[Outcome]:
    """Show `what` with the time it takes, while the block runs and after it.

    On a terminal a line that counts; elsewhere (CI, a pipe) a line at the start,
    one every 30 s, and one at the end. `estimate` is in seconds.
    """
    expected = f", about {_duration(estimate)}" if estimate else ""
    started = time.monotonic()
    finished = threading.Event()
    status = Status(f"{what}{expected}", console=stderr) if stderr.is_terminal else None
    interval = 1.0 if status else HEARTBEAT_SECONDS

    def beat() -> None:
        while not finished.wait(interval):
            elapsed = _duration(time.monotonic() - started)
            if status:
                status.update(f"{what}: {elapsed}{expected}")
            else:
                note(f"  … {what}: {elapsed}{expected}")

    if status:
        status.start()
    else:
        note(f"  {what}{expected}")
    ticker = threading.Thread(target=beat, daemon=True)
    ticker.start()
    outcome = Outcome()
    try:
        yield outcome
        outcome.text = "done"
    finally:
        finished.set()
        ticker.join()
        if status:
            status.stop()
        note(f"  {what}: {outcome.text} in {_duration(time.monotonic() - started)}")
        sys.stderr.flush()


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a task of `total` things is; the block calls what it gets with each number that is done."""
    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda number: progress.advance(task, number)
