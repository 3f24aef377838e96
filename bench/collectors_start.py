"""What the collectors add to `create`: `.venv/bin/python -m bench.collectors_start`, as root, with the tools cached.

Instances are created in turn with the collectors and without them, each with its own embedded cloud.
"""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figure import Figure, finish
from bench.first_200 import CREATE, INSTANCE, Bench
from scripts.stackfile.file import StackFile

TITLE = "What the collectors add to `create`"
PAIRS = 3
MOST_SECONDS = 5.0
OFF = {"metrics": False, "logs": False}


@contextmanager
def _stack_file(*, collectors: bool) -> Iterator[None]:
    """Prepare the stack file of an instance, and remove it where `create` failed before its first update."""
    file = StackFile(INSTANCE)
    if not collectors:
        file.set("collectors", OFF)
        file.write()
    try:
        yield
    finally:
        file.path.unlink(missing_ok=True)


def _seconds(*, collectors: bool) -> float:
    """Return the seconds of one `create` to the first 200."""
    with tempfile.TemporaryDirectory() as folder, _stack_file(collectors=collectors):
        bench = Bench(Path(folder))
        try:
            return bench.create()
        finally:
            bench.leave()


def measure() -> list[Figure]:
    """Return the medians of both, and their difference."""
    pairs = [(_seconds(collectors=True), _seconds(collectors=False)) for _ in range(PAIRS)]
    with_them, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [
        Figure(CREATE, with_them, "s"),
        Figure(f"{CREATE}, without collectors", without, "s"),
        Figure("what the collectors add to it", with_them - without, "s", most=MOST_SECONDS),
    ]


if __name__ == "__main__":
    finish(TITLE, measure())
