"""The progress of several stacks: on a terminal a line for each that is at work, elsewhere one line for each that ends."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from scripts.ui.terminal import HEARTBEAT_SECONDS, duration_in_words, note, stderr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from scripts.updates.engine_log import EngineLog
    from scripts.updates.result import StackResult


class Display:
    """Shows the progress of `total` stacks while the block runs. Several threads may report to it."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._lock = threading.Lock()
        self._running: dict[str, tuple[EngineLog, float, TaskID]] = {}  # log, start and line of each stack
        self._last_beat = time.monotonic()
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=stderr,
            disable=not stderr.is_terminal,
        )
        self._all = self._progress.add_task(what, total=total, count=f"0/{total}")

    def __enter__(self) -> Self:
        """Begin to show lines."""
        if not stderr.is_terminal:
            note(f"  {self._what}")
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the lines of stacks that have ended alone."""
        self._progress.stop()

    @contextmanager
    def at_work(self, stack: str, log: EngineLog) -> Iterator[None]:
        """Show a stack as one at work while the block runs."""
        with self._lock:
            line = self._progress.add_task(f"  {stack}", total=None, count="")
            self._running[stack] = (log, time.monotonic(), line)
        try:
            yield
        finally:
            with self._lock:
                del self._running[stack]
                self._progress.remove_task(line)

    def ended(self, result: StackResult) -> None:
        """Show the result of a stack in a line of its own."""
        with self._lock:
            self._done += 1
            self._progress.update(self._all, completed=self._done, count=f"{self._done}/{self._total}")
        note(f"  {result}")

    def tick(self) -> None:
        """Show how far the engines are. On no terminal, a line every 30 s tells it."""
        with self._lock:
            for log, _, line in self._running.values():
                self._progress.update(line, count=f"{log.steps} steps" if log.steps else "")
            now = time.monotonic()
            is_due = not stderr.is_terminal and now - self._last_beat >= HEARTBEAT_SECONDS
            working = [f"{name} ({duration_in_words(now - began)})" for name, (_, began, _) in self._running.items()]
        if is_due:
            self._last_beat = now
            note(f"  … {self._done} of {self._total}; at work: {', '.join(working)}")
