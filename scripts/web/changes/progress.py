"""How far an update is, by the log of the engine's events (pulumi/sdk/go/common/apitype/events.go)."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from components.core.resource_names import logical_name

if TYPE_CHECKING:
    from pathlib import Path

SAME = "same"
COLOR = re.compile(r"<\{%[^%]*%\}>")  # how the engine marks colors
WORDS = {
    "create": ("creating", "created"),
    "update": ("updating", "updated"),
    "delete": ("deleting", "deleted"),
    "replace": ("replacing", "replaced"),
    "create-replacement": ("creating", "created"),
    "delete-replaced": ("deleting", "deleted"),
    "import": ("importing", "imported"),
    "read": ("reading", "read"),
    "refresh": ("reading", "read"),
}


class EventLog:
    """Reads the log of one operation as it grows.

    Attributes:
        done: The number of resources by what was done with them, such as `created`; `same` for those without a change.
        running: What the engine is doing with resources, by URN, such as `creating default-loki-stateful-set`.
        errors: The errors of the engine.
        has_ended: Whether the operation has ended.
    """

    def __init__(self, path: Path) -> None:
        self.done: Counter[str] = Counter()
        self.running: dict[str, str] = {}
        self.errors: list[str] = []
        self.has_ended = False
        self._path, self._offset = path, 0

    def read(self) -> bool:
        """Take what is new in the file, which need not exist yet; return whether anything was."""
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
            if operation != SAME:
                self.running[urn] = f"{WORDS.get(operation, (operation,))[0]} {logical_name(urn)}"
        elif after := event.get("resOutputsEvent"):
            operation = after["metadata"]["op"]
            self.running.pop(after["metadata"]["urn"], None)
            self.done[SAME if operation == SAME else WORDS.get(operation, (operation, operation))[1]] += 1
        elif failed := event.get("resOpFailedEvent"):
            self.running.pop(failed["metadata"]["urn"], None)
            self.done["failed"] += 1
        elif (said := event.get("diagnosticEvent")) and said["severity"] == "error":
            self.errors.append(COLOR.sub("", said["message"]).strip())
        elif "summaryEvent" in event:
            self.has_ended = True
            self.running.clear()

    def in_words(self) -> str:
        """Return how many resources are done, such as `12 created, 40 without a change`."""
        counts = [f"{count} {what}" for what, count in self.done.items() if what != SAME]
        unchanged = [f"{self.done[SAME]} without a change"] if self.done[SAME] else []
        return ", ".join([*counts, *unchanged]) or "the engine starts"
