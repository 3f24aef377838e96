"""How far an update is, by the log of the engine's events (pulumi/sdk/go/common/apitype/events.go)."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from components.core.resource_names import logical_name

if TYPE_CHECKING:
    from pathlib import Path

SAME = "same"
# The engine creates a provider for resources that name none. It leaves it out of what it counts.
DEFAULT_PROVIDER = re.compile(r"::pulumi:providers:[^:]+::default")
COLOR = re.compile(r"<\{%[^%]*%\}>")  # how the engine marks colors
WORDS = {
    "create": ("creating", "created"),
    "update": ("updating", "updated"),
    "delete": ("deleting", "deleted"),
    "replace": ("replacing", "replaced"),
    "create-replacement": ("creating", "replaced"),
    "delete-replaced": ("deleting", "replaced"),
    "import": ("importing", "imported"),
    "read": ("reading", "read"),
    "refresh": ("reading", "read"),
}


class EventLog:
    """Reads the log of one operation as it grows. Threads may share it.

    Attributes:
        done: What was done with resources, by URN, such as `created`; `same` for those without a change.
        running: What the engine is doing with resources, by URN, such as `creating default-loki-stateful-set`.
        errors: The errors of the engine.
        has_ended: Whether the operation has ended.
    """

    def __init__(self, path: Path) -> None:
        self.done: dict[str, str] = {}
        self.running: dict[str, str] = {}
        self.errors: list[str] = []
        self.has_ended = False
        self._path, self._offset = path, 0
        self._lock = threading.Lock()

    def read(self) -> bool:
        """Take what is new in the file, which need not exist yet; return whether anything was."""
        with self._lock:
            try:
                with self._path.open("rb") as file:
                    file.seek(self._offset)
                    *lines, _ = file.read().split(b"\n")  # the last part is incomplete, or empty
            except FileNotFoundError:
                return False
            for line in lines:
                self._offset += len(line) + 1
                self._take(json.loads(line))
            return bool(lines)

    def _take(self, event: dict[str, Any]) -> None:
        if before := event.get("resourcePreEvent"):
            urn, operation = before["metadata"]["urn"], before["metadata"]["op"]
            if operation != SAME and not DEFAULT_PROVIDER.search(urn):
                self.running[urn] = f"{WORDS.get(operation, (operation,))[0]} {logical_name(urn)}"
        elif after := event.get("resOutputsEvent"):
            urn, operation = after["metadata"]["urn"], after["metadata"]["op"]
            self.running.pop(urn, None)
            if DEFAULT_PROVIDER.search(urn):
                return
            self.done[urn] = WORDS.get(operation, (operation, operation))[1]
        elif failed := event.get("resOpFailedEvent"):
            urn = failed["metadata"]["urn"]
            self.running.pop(urn, None)
            self.done[urn] = "failed"
        elif (said := event.get("diagnosticEvent")) and said["severity"] == "error":
            self.errors.append(COLOR.sub("", said["message"]).strip())
        elif "summaryEvent" in event:
            self.has_ended = True
            self.running.clear()

    def in_words(self) -> str:
        """Return how many resources are done, such as `12 created, 40 without a change`."""
        with self._lock:
            counted = Counter(self.done.values())
        unchanged = counted.pop(SAME, 0)
        counts = [f"{count} {what}" for what, count in counted.items()]
        return ", ".join([*counts, *([f"{unchanged} without a change"] if unchanged else [])]) or "the engine starts"

    def at_work(self) -> list[str]:
        """Return what the engine is doing with resources."""
        with self._lock:
            return [*self.running.values()]
