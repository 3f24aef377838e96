"""The output of one stack's engine in a file, and what it tells of the engine's progress."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from scripts.ui.output import PROGRAM
from scripts.updates.result import SAME, Outcome

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self, TextIO

# What pulumi 3.255 prints: a line for each step of a resource, and at the end the number of each operation.
STEP = re.compile(
    r"\s(?:created|updated|deleted|replaced|imported|read|refreshed?) \([\d.]+m?s\)|\s(?:create|update|delete|replace)\s*\Z"
)
OPERATION = re.compile(r"^(?:Previewing|Updating|Refreshing|Importing|Destroying)\b")
RESOURCES = "Resources:"
COUNTED = re.compile(r"^\s+\S*\s*(?P<count>\d+) (?:to )?(?P<operation>create|update|delete|replace|import)(?:d|ed)?\b")
UNCHANGED = re.compile(r"(?P<count>\d+) unchanged\b")
TAIL_LINES = 12


class EngineLog:
    """Takes an engine's output, as `Output` does, and writes it to a file.

    `purpose` is what the engine is run for, in words. `steps` is the number of steps that the engine has completed in its operation. `changes` has the resources of its last
    operation by what it did or would do with them. The file is written within `with`; it replaces that of the run before.
    """

    has_colors = False

    def __init__(self, path: Path, purpose: str = PROGRAM) -> None:
        self.path, self.purpose = path, purpose
        self.steps = 0
        self.changes: dict[str, int] = {}
        self._lines: list[str] = []
        self._is_summary = self._is_preview = False
        self._file: TextIO | None = None

    @property
    def place(self) -> str:
        """Where a reader finds the lines, as part of a sentence."""
        return f"its output in {self.path}"

    def __enter__(self) -> Self:
        """Create the file."""
        self.path.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self._close()

    def _close(self) -> None:
        if self._file:
            with contextlib.suppress(OSError):  # a line that did not fit
                self._file.close()
            self._file = None

    def note(self, text: str) -> None:
        """Write a note of the command."""
        self.line(f"{text}\n")

    def line(self, line: str) -> None:
        """Write a line, and take from it how far the engine is. Two threads of an engine may call it at once."""
        self._write(line)
        if line.strip():
            self._keep(line)
        if operation := OPERATION.match(line):
            self.steps, self.changes, self._is_summary = 0, {}, False
            self._is_preview = operation[0] == "Previewing"
        elif line.startswith(RESOURCES):
            self._is_summary = True
        elif self._is_summary:
            self._count(line)
        elif STEP.search(line):
            self.steps += 1

    def event_log(self) -> None:
        """Want no events: the lines tell how far the engine is."""

    def _write(self, line: str) -> None:
        """Write a line. A full disk must not stop the reader of an engine's output: the engine would wait for it."""
        if not self._file:
            return
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            self._close()
            self._keep(f"(the rest is not in {self.path}: {error.strerror})")

    def _keep(self, line: str) -> None:
        self._lines = [*self._lines[1 - TAIL_LINES :], line.rstrip()]

    def _count(self, line: str) -> None:
        if counted := COUNTED.match(line):
            self.changes[counted["operation"]] = int(counted["count"])
        if unchanged := UNCHANGED.search(line):
            self.changes[SAME] = int(unchanged["count"])

    @property
    def outcome(self) -> Outcome:
        """What the last operation did, if it succeeded."""
        if not any(operation != SAME for operation in self.changes):
            return "unchanged"
        return "to change" if self._is_preview else "changed"

    def tail(self) -> list[str]:
        """Return the last lines that are not empty."""
        return self._lines
