"""Progress of long work. The caller passes in the reporter that shows it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol


class Outcome(Protocol):
    """How a step ended: a word or a reason, which the block of the step may set."""

    text: str


class Progress(Protocol):
    """Shows the user the steps of the work."""

    def note(self, text: str) -> None:
        """Show one line."""

    def step(self, what: str, estimate: float | None = None) -> AbstractContextManager[Outcome]:
        """Show `what` while the block runs, with the time that it takes; `estimate` is in seconds."""


@dataclass
class _HiddenOutcome:
    text: str = ""


class Silent:
    """Shows nothing, for tests and for short work."""

    def note(self, text: str) -> None:
        """Show nothing."""

    @contextmanager
    def step(self, what: str, estimate: float | None = None) -> Iterator[Outcome]:  # noqa: ARG002 the protocol of Progress
        """Run the block and show nothing."""
        yield _HiddenOutcome()


SILENT = Silent()
