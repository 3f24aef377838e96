"""Reading a stack: its resources, its history, and what an update would create."""

import getpass
import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.core.errors import UserError
from scripts.engine.process import Completed, Pulumi

NO_STACK = "no stack named"  # how pulumi 3.255 reports a stack that does not exist
CREATING = ("create", "create-replacement", "replace")  # steps of a preview
GIVEN = "pulumi.flag.message"  # in an entry whose message is not the subject of a commit
FORM = re.compile(r"(?P<user>[^\s:]+@[^\s:]+): (?P<purpose>.*)", re.DOTALL)
BY_HAND = "not recorded: `pulumi` was run without ./opstrace"
UNCHANGED = "same"  # resources that an operation left as they are


@dataclass(frozen=True)
class Operation:
    """An operation on a stack.

    Attributes:
        kind: `update`, `destroy`, `refresh`, `import` or another operation of the engine.
        result: `succeeded`, `failed` or `in-progress`.
        started: When it began, an instant of RFC 3339.
        user: Who ran it, as USER@HOST.
        purpose: The command, the title of the page's change, or the subject of the commit that the checkout had.
        changes: How many resources it changed, by the operation on them.
    """

    kind: str
    result: str
    started: str
    user: str
    purpose: str
    changes: Mapping[str, int]


def message_of(purpose: str) -> str:
    """Return the message of an operation: who runs it, and for what."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}: {purpose}"


def operation_of(entry: Mapping[str, Any]) -> Operation:
    """Return the operation in an entry of `pulumi stack history --json`."""
    message = str(entry.get("message") or "").strip()
    match = FORM.fullmatch(message) if GIVEN in (entry.get("environment") or {}) else None
    changes = {str(kind): int(count) for kind, count in (entry.get("resourceChanges") or {}).items()}
    return Operation(
        kind=str(entry["kind"]),
        result=str(entry["result"]),
        started=str(entry["startTime"]),
        user=match["user"] if match else BY_HAND,
        purpose=match["purpose"] if match else message or "without a message",
        changes={kind: count for kind, count in changes.items() if kind != UNCHANGED and count},
    )


def resources_in(exported: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the resources of an exported state."""
    return list((exported.get("deployment") or {}).get("resources") or [])


class StackReader:
    """Reads one stack through the engine. Each method raises `UserError` if the engine cannot read it."""

    def __init__(self, pulumi: Pulumi, stack: str) -> None:
        self._pulumi = pulumi
        self._stack = stack

    def stacks(self) -> list[str]:
        """Return the names of all stacks of the project in this backend."""
        return [*self.last_updates()]

    def last_updates(self) -> dict[str, str]:
        """Return when each stack of the project was last updated, an instant of RFC 3339 in UTC; "" where the backend tells none."""
        completed = self._pulumi.read(None, "stack", "ls", "--json")
        if completed.returncode:
            raise UserError(f"the engine's backend does not answer: {completed.stderr.strip()}")
        stacks = json.loads(completed.stdout)
        return {entry["name"].rsplit("/", 1)[-1]: entry.get("lastUpdate") or "" for entry in stacks}

    def results(self) -> list[str]:
        """Return how each update of the stack ended, the newest first."""
        return [entry["result"] for entry in self._history(0) if entry["kind"] == "update"]

    def operations(self, most: int) -> list[Operation]:
        """Return the last `most` operations of the stack, the newest first."""
        return [operation_of(entry) for entry in self._history(most)]

    def _history(self, most: int) -> list[dict[str, Any]]:
        """Return the last entries of the history, the newest first; 0 stands for all."""
        options = ("--json", "--page-size", str(most), "--stack", self._stack)
        completed = self._pulumi.read(self._stack, "stack", "history", *options)
        return list(self._decoded("the history", completed))

    def export(self) -> Any:
        """Return the exported state."""
        return self._decoded("the state", self._export())

    def export_if_any(self) -> dict[str, Any] | None:
        """Return the exported state, None if the stack does not exist.

        `pulumi stack ls` would tell that too, but it reads the states of all stacks.
        """
        completed = self._export()
        if completed.returncode and NO_STACK in completed.stderr:
            return None
        return dict(self._decoded("the state", completed))

    def planned_creates(self) -> list[dict[str, Any]]:
        """Return the resources that an update would create, in the form of the state."""
        completed = self._pulumi.read(self._stack, "preview", "--json", "--stack", self._stack)
        if completed.returncode:
            raise UserError(
                f"the preview of {self._stack} fails, so resources of a failed update cannot be looked up; "
                f"correct the stack file, then run this again: {_errors_of_preview(completed)}"
            )
        steps = json.loads(completed.stdout)["steps"]
        return [step["newState"] for step in steps if step["op"] in CREATING and step["newState"].get("custom")]

    def _export(self) -> Completed:
        return self._pulumi.read(self._stack, "stack", "export", "--stack", self._stack)

    def _decoded(self, subject: str, completed: Completed) -> Any:
        if completed.returncode:
            raise UserError(f"{subject} of {self._stack} cannot be read: {completed.stderr.strip()}")
        return json.loads(completed.stdout)


def _errors_of_preview(completed: Completed) -> str:
    """Return the errors of a preview that failed; its output is JSON."""
    try:
        diagnostics = json.loads(completed.stdout).get("diagnostics") or []
    except ValueError:
        diagnostics = []
    errors = [entry["message"].strip() for entry in diagnostics if entry.get("severity") == "error"]
    return "; ".join(errors) or (completed.stderr or completed.stdout).strip()
