"""Reading a stack: its resources, its history, and what an update would create."""

import json
from collections.abc import Mapping
from typing import Any

from components.core.errors import UserError
from scripts.engine.process import Completed, Pulumi

NO_STACK = "no stack named"  # how pulumi 3.255 reports a stack that does not exist
CREATING = ("create", "create-replacement", "replace")  # steps of a preview


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
        completed = self._pulumi.read(None, "stack", "ls", "--json")
        if completed.returncode:
            raise UserError(f"the engine's backend does not answer: {completed.stderr.strip()}")
        return [entry["name"].rsplit("/", 1)[-1] for entry in json.loads(completed.stdout)]

    def results(self) -> list[str]:
        """Return how each update of the stack ended, the newest first."""
        options = ("--json", "--page-size", "0", "--stack", self._stack)
        completed = self._pulumi.read(self._stack, "stack", "history", *options)
        history = self._decoded("the history", completed)
        return [entry["result"] for entry in history if entry["kind"] == "update"]

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
