"""A session of several benches: each runs in a process of its own, and the session goes on where one fails.

A bench is a module with a text `TITLE` and a function `measure`, which prints details and returns figures, or raises
`SkippedError`.
"""

import importlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from bench.figure import WIDTH, Figure, SkippedError, missed, table
from scripts.stackfile.file import ROOT


@dataclass(frozen=True)
class Outcome:
    """What came of a bench.

    Attributes:
        module: The module of the bench.
        figures: What it measured; none where it failed or was skipped.
        skipped: Why it was skipped; '' where it ran.
        failed: How it failed; '' where it did not.
        output: What it printed.
        seconds: How long it took.
    """

    module: str
    figures: list[Figure] = field(default_factory=list)
    skipped: str = ""
    failed: str = ""
    output: str = ""
    seconds: float = 0

    @property
    def problems(self) -> list[str]:
        """What is wrong, each with the name of the bench: targets that are missed, or the failure."""
        problems = [self.failed] if self.failed else missed(self.figures)
        return [f"{self.module}: {problem}" for problem in problems]


def run(module: str) -> Outcome:
    """Run a bench in a process of its own; its output is passed on."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, "-P", "-u", "-m", "bench.session", module, str(file)]
        output = []
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                output.append(line)
        seconds, text = time.monotonic() - started, "".join(output)
        if process.returncode or not file.exists():
            return Outcome(module, failed=f"exited {process.returncode}", output=text, seconds=seconds)
        written = json.loads(file.read_text())
    figures = [Figure(**entry) for entry in written["figures"]]
    return Outcome(module, figures, written["skipped"], output=text, seconds=seconds)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return one table with all figures, as text; a bench without figures has a row that says why."""
    made = table("All benches")
    for outcome in outcomes:
        for figure in outcome.figures:
            made.add_row(*figure.row())
        if outcome.skipped:
            made.add_row(outcome.module, "", f"skipped: {outcome.skipped}")
        if outcome.failed:
            made.add_row(outcome.module, "", outcome.failed, "", "FAILED")
        made.add_section()
    text = io.StringIO()
    Console(width=WIDTH, file=text).print(made)
    return text.getvalue()


def _measure(module: str, file: Path) -> None:
    """Measure in this process, and write the figures, or the reason why there are none, to a file."""
    try:
        figures, skipped = importlib.import_module(module).measure(), ""
    except SkippedError as reason:
        figures, skipped = [], str(reason)
    file.write_text(json.dumps({"figures": [asdict(figure) for figure in figures], "skipped": skipped}))


if __name__ == "__main__":
    _measure(sys.argv[1], Path(sys.argv[2]))
