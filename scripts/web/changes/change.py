"""One change: the thread that makes it, what it says, its progress and its result."""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from components.core.errors import UserError
from scripts.engine.process import Engines
from scripts.web.changes.conversation import Conversation, NotConfirmedError
from scripts.web.changes.progress import EventLog
from scripts.web.fault import reported

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.context.context import Context

State = Literal["working", "done", "failed", "interrupted", "not confirmed"]
ID_BYTES = 8
MOST_LINES = 500  # of the engine's output
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a change is to do.

    Attributes:
        title: What it does, in words.
        stack: The stack that it changes.
        tenant: The tenant that it is about.
        work: Does it, in a context that speaks to browsers.
        review: Whether the user confirms it after its difference and plan are shown.
        connects: Whether it makes a tenant, to which clients are connected afterwards.
    """

    title: str
    stack: str
    tenant: str
    work: Callable[[Context], object]
    review: bool = True
    connects: bool = False


class Change:
    """A change of one stack. It is the output of its engines too.

    Attributes:
        id: Its name in URLs.
        task: What it does.
        started: When it began, in seconds since the epoch.
        seconds: How long it took.
        state: Whether it has ended, and how.
        error: Why it failed; None where it did not.
        version: Grows whenever a browser has something new to show.
        operations: The events of its engine's operations, the oldest first.
        lines: The last lines of the engine's output.
    """

    has_colors = False
    place = "the engine's output on this page"

    def __init__(self, task: Task, folder: Path) -> None:
        self.id = secrets.token_hex(ID_BYTES)
        self.task = task
        self.started = time.time()
        self.seconds = 0.0
        self.state: State = "working"
        self.error: str | None = None
        self.version = 0
        self.operations: list[EventLog] = []
        self.lines: list[str] = []
        self.conversation = Conversation(self._notice, review=task.review)
        self._engines, self._folder = Engines(), folder
        self._thread: threading.Thread | None = None

    def _notice(self) -> None:
        self.version += 1

    @property
    def purpose(self) -> str:
        """What the engine is run for, in words for its history."""
        return f"{self.task.title}, in the page"

    @property
    def is_active(self) -> bool:
        """Whether the change has not ended."""
        return self.state == "working"

    @property
    def can_run_again(self) -> bool:
        """Whether a page may begin it again. One that asks for no confirmation begins with the form where a name is typed."""
        return self.state in ("failed", "interrupted") and self.task.review

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for an answer, and so has changed nothing that an answer could not stop."""
        return self.is_active and self.conversation.question is not None

    def start(self, context: Context, ended: Callable[[], None]) -> None:
        """Do the work in a thread. `ended` is called after it."""
        own = context.through(self.conversation, self, self._engines)
        self._thread = threading.Thread(target=self._run, args=(own, ended), name=self.task.title)
        self._thread.start()

    def _run(self, context: Context, ended: Callable[[], None]) -> None:
        try:
            self.task.work(context)
            state: State = "done"
        except NotConfirmedError:
            state = "not confirmed"
        except (UserError, OSError) as error:
            state, self.error = "failed", str(error)
        except (BotoCoreError, ClientError) as error:
            state, self.error = "failed", f"AWS refused a request: {error}"
        except Exception as fault:
            state, self.error = "failed", reported(fault)
        if state == "failed" and self._engines.interrupted:
            state = "interrupted"
        self.seconds = time.time() - self.started
        self.state = state
        ended()
        self._notice()

    def follow(self) -> None:
        """Take what is new in the log of the engine's events."""
        if self.operations and self.operations[-1].read():
            self._notice()

    def answer(self, question_id: str, text: str) -> bool:
        """Answer the question that waits; return False where none does, or where another one does."""
        return self.conversation.answer(question_id, text)

    def stop(self) -> bool:
        """End the wait for an answer, or interrupt the engine; return whether one runs. Its second interrupt ends it at once."""
        self.conversation.stop()
        return self._engines.interrupt()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the change has ended, `seconds` at most."""
        if self._thread:
            self._thread.join(seconds)

    def note(self, text: str) -> None:
        """Take a note about the engine."""
        self.conversation.note(text)

    def line(self, line: str) -> None:
        """Take a line of the engine's output."""
        self.lines = [*self.lines[1 - MOST_LINES :], ESCAPE.sub("", line.rstrip())]
        self._notice()

    def event_log(self) -> Path:
        """Return the file of the next operation's events, readable by the user alone."""
        path = self._folder / f"{self.id}-{len(self.operations)}.jsonl"
        path.touch(0o600)
        self.operations.append(EventLog(path))
        return path
