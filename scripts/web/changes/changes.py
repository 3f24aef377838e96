"""All changes of a page: one at a time for each stack. Every browser sees them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from components.core.errors import UserError
from scripts.web.changes.change import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scripts.context.context import Context
    from scripts.web.changes.change import Task

MOST_KEPT = 50


class Changes:
    """Starts changes, and keeps the last ones. Threads may share it.

    Args:
        folder: A folder of the user alone, for the logs of events.
        ended: Called with the stack of a change after it has ended.
    """

    def __init__(self, folder: Path, ended: Callable[[str], None]) -> None:
        self._folder, self._ended = folder, ended
        self._lock = threading.Lock()
        self._changes: dict[str, Change] = {}
        self.is_closed = False

    def start(self, context: Context, task: Task) -> Change:
        """Start a change; raises `UserError` where another one is under way, or where the page ends."""
        with self._lock:
            if self.is_closed:
                raise UserError("`./opstrace ui` ends, so no change begins")
            if other := next((one for one in self.active() if one.task.stack == task.stack), None):
                raise UserError(
                    f"{other.task.title}: this change of the stack {task.stack} is under way; wait until it ends"
                )
            change = Change(task, self._folder)
            ended = [one.id for one in self._changes.values() if not one.is_active]
            for old in ended[: max(0, len(self._changes) + 1 - MOST_KEPT)]:
                del self._changes[old]
            self._changes[change.id] = change
        change.start(context, lambda: self._ended(task.stack))
        return change

    def find(self, change_id: str) -> Change | None:
        """Return a change by its id; None where there is none."""
        return self._changes.get(change_id)

    def active(self) -> list[Change]:
        """Return the changes that have not ended, the oldest first."""
        return [one for one in [*self._changes.values()] if one.is_active]

    def all(self) -> Sequence[Change]:
        """Return the changes that are kept, the newest first."""
        return [*self._changes.values()][::-1]

    def close(self) -> list[Change]:
        """Let no other change begin, and end those that only wait for an answer; return those that work."""
        with self._lock:
            self.is_closed = True
        working = []
        for change in self.active():
            if change.is_waiting:
                change.stop()
            else:
                working.append(change)
        return working

    def interrupt(self) -> bool:
        """Interrupt all changes; return whether an engine runs for one of them."""
        had_engines = [change.stop() for change in self.active()]
        return any(had_engines)
