"""Output of the command: progress on stderr, results on stdout."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Table

from components.core.errors import UserError

HEARTBEAT_SECONDS = 30
MINUTE_SECONDS = 60
WIDEST_TABLE = 1000  # columns
stderr = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
JSON_ARRAY = click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
JSON_OBJECT = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def note(text: str) -> None:
    """Print one line of progress on stderr."""
    stderr.print(text, markup=False)


def printable(text: object) -> str:
    """Return a text with all control characters of terminals escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def confirm_by_name(tenant: str, loss: str) -> None:
    """Show what will be lost and prompt for the tenant's name; raises `UserError` for any other answer."""
    note(loss)
    answer = click.prompt("Type the tenant's name to go on", err=True)
    if answer != tenant:
        raise UserError(f"{answer!r} is not the name {tenant}: nothing is changed")


def show_table(table: Table, *, to_stdout: bool = False) -> None:
    """Print a table in its full width. A narrow terminal wraps its lines, so that all of them can be copied."""
    Console(stderr=not to_stdout, highlight=False, emoji=False, width=WIDEST_TABLE).print(table)


def show_columns(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print rows on stdout in columns without borders, for people and for programs such as awk."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    show_table(table, to_stdout=True)


def stdout_json(value: Any) -> None:
    """Print plain values as JSON on stdout."""
    click.echo(json.dumps(value, indent=2))


def duration_in_words(seconds: float) -> str:
    """Return a duration for people, such as 4.2 s or 3 min 05 s."""
    if seconds < MINUTE_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), MINUTE_SECONDS)
    return f"{minutes} min {rest:02d} s"


@dataclass
class Outcome:
    """The result of a step, a word or a reason. The block may set it."""

    text: str = "failed"

    def shown(self, duration: str) -> str:
        """Return the word with the duration. A reason stands alone: it may end in a URL, to which a duration would seem to belong."""
        return self.text if " " in self.text else f"{self.text} in {duration}"


@contextmanager
def step(what: str, estimate: float | None = None) -> Iterator[Outcome]:
    """Show `what` and its duration, while the block runs and after it.

    A terminal shows a line that counts seconds. CI and pipes get a line at the start, one every 30 s, and one at the
    end. `estimate` is in seconds.
    """
    expected = f", about {duration_in_words(estimate)}" if estimate else ""
    started = time.monotonic()
    finished = threading.Event()
    status = Status(f"{what}{expected}", console=stderr) if stderr.is_terminal else None
    interval = 1.0 if status else HEARTBEAT_SECONDS

    def beat() -> None:
        while not finished.wait(interval):
            elapsed = duration_in_words(time.monotonic() - started)
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
        note(f"  {what}: {outcome.shown(duration_in_words(time.monotonic() - started))}")
        sys.stderr.flush()


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of a task with `total` parts. The block calls the function that it gets with a number of done parts."""
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


def confirm(question: str) -> None:
    """Prompt for yes or no; raises `click.Abort` for no."""
    click.confirm(question, abort=True, err=True)


def ask(question: str) -> bool:
    """Prompt for yes or no until the user answers; return the answer."""
    return bool(click.confirm(question, default=None, err=True))


class Terminal:
    """What a service says and asks: notes, progress (as `localcloud.progress.Progress`), and questions, all on stderr.

    A subclass may show them elsewhere, and get the answers from there.
    """

    note = staticmethod(note)
    step = staticmethod(step)
    counted = staticmethod(counted)
    confirm = staticmethod(confirm)
    ask = staticmethod(ask)
    confirm_by_name = staticmethod(confirm_by_name)

    def difference(self, text: str) -> None:
        """Show the change of a stack file, a unified diff."""
        self.note(text)

    def plan(self, text: str) -> None:
        """Show what an update does to tenants and their data."""
        self.note(text)

    def review(self) -> None:
        """Take notice that difference and plan are complete, and that the change begins. It may raise, and so prevent that."""

    def review_others(self) -> None:
        """Take notice that the plan has more than what the user asked for. It may raise, and so prevent the change."""


TERMINAL = Terminal()
