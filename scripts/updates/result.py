"""What an update of several stacks did, for each stack."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from components.core.errors import UserError
from scripts.ui.terminal import duration_in_words, note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SAME = "same"  # the engine's word for resources without a change
PAST = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced", "import": "imported"}
Outcome = Literal["changed", "unchanged", "to change", "new", "failed", "interrupted", "not started"]
MOST_SHOWN = 5  # failed stacks with the end of their output; of all others only the error
INCOMPLETE: tuple[Outcome, ...] = ("failed", "interrupted", "not started")


@dataclass(frozen=True)
class StackResult:
    """The result of one stack.

    Attributes:
        stack: Its name.
        outcome: What happened. Only a preview has `to change`, and `new` for a stack that does not exist yet.
        changes: The number of resources by operation, such as `create`; `same` for those without a change.
        seconds: How long it took.
        error: Why it is not complete; None where it is.
        log: The file with the engine's output; None where no engine ran.
        tail: The last lines of the engine's output, where it failed.
    """

    stack: str
    outcome: Outcome
    changes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0
    error: str | None = None
    log: Path | None = None
    tail: Sequence[str] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the stack needs no other run."""
        return self.outcome not in INCOMPLETE

    def __str__(self) -> str:
        took = f" in {duration_in_words(self.seconds)}" if self.seconds else ""
        counts = [(count, operation) for operation, count in self.changes.items() if operation != SAME]
        if self.outcome == "to change":
            return f"{self.stack}: {', '.join(f'{count} to {operation}' for count, operation in counts)}"
        if self.outcome == "changed":
            return f"{self.stack}: {', '.join(f'{count} {PAST[operation]}' for count, operation in counts)}{took}"
        return f"{self.stack}: {self.outcome}{took}"

    def plain(self) -> dict[str, Any]:
        """Return the result as `--json` has it."""
        return {
            "stack": self.stack,
            "outcome": self.outcome,
            "changes": {**self.changes},
            "seconds": round(self.seconds, 1),
            "error": self.error,
            "log": None if self.log is None else str(self.log),
        }


@dataclass(frozen=True)
class Results:
    """The results of all stacks, in the order in which they are listed.

    `again` is the command that completes what is not complete.
    """

    stacks: Sequence[StackResult]
    seconds: float
    again: str
    interrupted: bool = False

    @property
    def incomplete(self) -> list[StackResult]:
        """The stacks that need another run."""
        return [result for result in self.stacks if not result.is_complete]

    def __str__(self) -> str:
        counts = Counter(result.outcome for result in self.stacks)
        found = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        many = "1 stack" if len(self.stacks) == 1 else f"{len(self.stacks)} stacks"
        return f"{many} in {duration_in_words(self.seconds)}: {found}"

    def report(self) -> None:
        """Print the errors and a summary.

        Raises `UserError` with the command that completes the stacks, where some are not complete, and `KeyboardInterrupt`
        where the command was interrupted.
        """
        failed = [result for result in self.stacks if result.outcome == "failed"]
        for result in failed[:MOST_SHOWN]:
            note(f"\n{result.stack}: {result.error}")
            for line in result.tail:
                note(f"  | {line}")
        for result in failed[MOST_SHOWN:]:
            note(f"{result.stack}: {result.error}")
        note(f"{self}.")
        if self.interrupted:
            note(f"To complete the rest: {self.again}")
            raise KeyboardInterrupt
        if self.incomplete:
            names = ", ".join(result.stack for result in self.incomplete)
            raise UserError(f"not complete: {names}. Correct the cause, then complete the rest: {self.again}")

    def plain(self) -> dict[str, Any]:
        """Return the results as `--json` has them."""
        return {
            "complete": not self.incomplete,
            "seconds": round(self.seconds, 1),
            "stacks": [result.plain() for result in self.stacks],
        }
