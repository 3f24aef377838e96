"""What a service says while it works on a change, and its questions, which a browser answers."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from components.core.errors import UserError
from scripts.ui.terminal import Outcome, Terminal, duration_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Kind = Literal["note", "difference", "plan", "step"]
ID_BYTES = 8


class NotConfirmedError(UserError):
    """The user did not confirm a change, so nothing was changed."""


@dataclass
class Entry:
    """A text that a service said."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Question:
    """A question that waits for its answer. With `name`, the user must type that name. Its answer has the question's `id`."""

    text: str
    yes: str
    name: str | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(ID_BYTES))


class Conversation(Terminal):
    """Keeps what a service says for browsers, and waits for answers from there.

    Args:
        noticed: Called when a browser has something new to show.
        review: Whether the user confirms a change after its difference and plan are shown.
    """

    def __init__(self, noticed: Callable[[], None], *, review: bool = True) -> None:
        self.entries: list[Entry] = []
        self.question: Question | None = None
        self._noticed, self._review = noticed, review
        self._answered = threading.Condition()
        self._answer: str | None = None
        self._stopped = False

    def note(self, text: str) -> None:
        """Keep a note."""
        self._add("note", text)

    def difference(self, text: str) -> None:
        """Keep the change of a stack file."""
        self._add("difference", text)

    def plan(self, text: str) -> None:
        """Keep what an update does to tenants."""
        self._add("plan", text)

    def _add(self, kind: Kind, text: str) -> Entry:
        entry = Entry(kind, text)
        self.entries.append(entry)
        self._noticed()
        return entry

    @contextmanager
    def step(self, what: str, estimate: float | None = None) -> Iterator[Outcome]:
        """Keep `what`, and its result once the block has ended. `estimate` is in seconds."""
        expected = f", about {duration_in_words(estimate)}" if estimate else ""
        entry, started, outcome = self._add("step", f"{what}{expected} …"), time.monotonic(), Outcome()
        try:
            yield outcome
            outcome.text = "done"
        finally:
            entry.text = f"{what}: {outcome.shown(duration_in_words(time.monotonic() - started))}"
            self._noticed()

    @contextmanager
    def counted(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Keep `what` with the number of its done parts."""
        entry, done = self._add("step", f"{what}: 0 of {total}"), 0

        def advance(number: int) -> None:
            nonlocal done
            done += number
            entry.text = f"{what}: {done} of {total}"
            self._noticed()

        yield advance

    def confirm(self, question: str) -> None:
        """Wait for a yes; raises `NotConfirmedError` for a no."""
        self._require_yes(Question(question, "Yes"))

    def ask(self, question: str) -> bool:
        """Wait for a yes or a no, and return it."""
        return self._wait_for(Question(question, "Yes")) == "yes"

    def confirm_by_name(self, tenant: str, loss: str) -> None:
        """Keep what will be lost, and wait for the tenant's name; raises `NotConfirmedError` for any other answer."""
        self.note(loss)
        if self._wait_for(Question("Type the tenant's name to go on.", "Delete", tenant)) != tenant:
            raise NotConfirmedError(f"{tenant} was not typed: nothing is changed")

    def review(self) -> None:
        """Wait until the user confirms what is shown; raises `NotConfirmedError` for a no."""
        if self._review:
            self._require_yes(Question("Apply this change?", "Apply"))

    def review_others(self) -> None:
        """Wait until the user confirms a plan with more than was asked for; raises `NotConfirmedError` for a no."""
        self._require_yes(Question("Apply the other changes too?", "Apply all"))

    def _require_yes(self, question: Question) -> None:
        if self._wait_for(question) != "yes":
            raise NotConfirmedError("not confirmed: nothing is changed")

    def _wait_for(self, question: Question) -> str:
        """Return the answer to a question; raises `NotConfirmedError` where the page ends before it."""
        with self._answered:
            self._answer, self.question = None, question
            self._noticed()
            self._answered.wait_for(lambda: self._answer is not None or self._stopped)
            self.question = None
            self._noticed()
            if self._answer is None:
                raise NotConfirmedError("the page ended before the answer: nothing is changed")
            return self._answer

    def answer(self, question_id: str, text: str) -> bool:
        """Answer the question that waits; return False where none does, or where another one does."""
        with self._answered:
            if self.question is None or self.question.id != question_id or self._answer is not None:
                return False
            self._answer = text
            self._answered.notify_all()
            return True

    def stop(self) -> None:
        """End the wait for an answer, now and later."""
        with self._answered:
            self._stopped = True
            self._answered.notify_all()
