"""Running the engine's operations on a stack: checked plugins first, dead locks cleared."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from components.core.errors import UserError
from localcloud.toolchain.engine_plugins import require_plugins
from scripts.engine import locks
from scripts.engine.process import Completed, Pulumi
from scripts.engine.stack_state import message_of
from scripts.ui.terminal import TERMINAL

WITH_EVENTS = ("up", "destroy", "preview", "refresh", "import")  # that can log their events, and take a message


class Operations:
    """Runs operations that change one stack."""

    def __init__(self, pulumi: Pulumi, stack: str) -> None:
        self._pulumi = pulumi
        self.stack = stack

    def run(self, *arguments: str) -> None:
        """Run an operation with its output on stderr; raises `UserError` if it fails.

        A lock that a killed process of this machine left is cleared first. Missing plugins are installed with
        their checksums verified, because the engine would download them without that check.
        """
        self.require_programs()
        # Commands print what a reader needs of the outputs themselves. `pulumi stack import` has no such option.
        quiet = () if arguments[0] == "stack" else ("--suppress-outputs",)
        # The engine's history shows the message. By default, it is the subject of the checkout's newest commit.
        message = ("--message", message_of(self._pulumi.output.purpose)) if arguments[0] in WITH_EVENTS else ()
        options = (*arguments, *quiet, *message, "--stack", self.stack)
        errors = self._show(*options)
        if errors is not None and self.clear_dead_locks(errors):
            errors = self._show(*options)
        if errors is not None:
            place = self._pulumi.output.place
            raise UserError(f"`pulumi {arguments[0]}` failed; see {place}, then run this again")

    def _show(self, *arguments: str) -> str | None:
        """Do what `Pulumi.show` does, with a log of the engine's events if the output wants one."""
        log = self._pulumi.output.event_log() if arguments[0] in WITH_EVENTS else None
        return self._pulumi.show(*arguments, *(() if log is None else ("--event-log", str(log))))

    def require_programs(self) -> None:
        """Install missing plugins; raises `UserError` where a program that an operation needs is missing."""
        self._pulumi.require_program()
        require_plugins(self._pulumi.program, self._pulumi.environment, TERMINAL)

    def run_with(self, content: Mapping[str, Any], *arguments: str) -> None:
        """Run an operation that reads `content` from a JSON file."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # mode 0600: a state has secrets
            json.dump(content, file)
            file.flush()
            self.run(*arguments, "--file", file.name)

    def clear_dead_locks(self, errors: str) -> bool:
        """Clear the locks that the engine's `errors` name. Return False if they name none.

        Raises `UserError` if the owner of a lock is alive.
        """
        dead = locks.dead_locks(errors, self.stack)
        if dead:
            locks.clear_once(dead, self._cancel, self._pulumi.output.note)
        return bool(dead)

    def _cancel(self) -> None:
        completed = self._pulumi.capture("cancel", "--yes", self.stack)
        if completed.returncode:
            raise UserError(f"the lock of the stack {self.stack} cannot be cleared: {completed.stderr.strip()}")


def change_states(pulumi: Pulumi, stacks: Iterable[Operations], command: str, *arguments: str) -> Completed:
    """Run `pulumi state <command>` on the states of `stacks`, and again after each dead lock is cleared."""
    completed = pulumi.capture("state", command, "--yes", *arguments)
    for operations in stacks:  # the engine names the lock of one stack at a time
        locked = completed.returncode and f"/{operations.stack}/" in completed.stderr
        if locked and operations.clear_dead_locks(completed.stderr):
            completed = pulumi.capture("state", command, "--yes", *arguments)
    return completed
