"""Updating several stacks side by side: N engines at a time, errors for each stack, one interrupt for all."""

from __future__ import annotations

import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.clients.errors import REPAIRABLE
from scripts.engine.locks import LockedError
from scripts.engine.process import Engines
from scripts.ui.terminal import note
from scripts.updates.display import Display
from scripts.updates.engine_log import EngineLog
from scripts.updates.result import Outcome, StackResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scripts.clients.providers import Provider
    from scripts.context.context import Context
    from scripts.engine.pulumi import Engine

TICK_SECONDS = 0.25
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, the end of a CI job, the end of a terminal
INTERRUPTING = "  interrupted: the engines end their requests. A second interrupt ends them at once, which may lose track of resources"


@dataclass(frozen=True)
class Job:
    """The work on one stack, such as an update; it gets the engine on that stack."""

    stack: str
    work: Callable[[Engine], None]


@dataclass(frozen=True)
class Batch:
    """Works on stacks of one instance, at most `parallel` at a time; the engines' output goes into `folder`."""

    context: Context
    provider: Provider
    folder: Path
    parallel: int
    engines: Engines = field(default_factory=Engines)

    def run(self, what: str, jobs: Sequence[Job]) -> list[StackResult]:
        """Do all jobs; return their results in the same order. `what` names the work on the display.

        A stack that another engine has locked comes again once all others are done. After an interrupt, the engines end
        their requests, and no job begins.
        """
        with Display(what, len(jobs)) as display, _passing_on_interrupts(self.engines):
            results = self._all(display, jobs, later=len(jobs) > 1)
            locked = [job for job in jobs if results[job.stack] is None]
            results |= self._all(display, locked, later=False)
        return [result for job in jobs if (result := results[job.stack])]

    def _all(self, display: Display, jobs: Sequence[Job], *, later: bool) -> dict[str, StackResult | None]:
        """Return the results by stack. With `later`, a locked stack has none, and is to be tried again."""
        was_told, purpose = False, self.context.output.purpose  # here: a thread does not know its command
        with ThreadPoolExecutor(self.parallel) as threads:
            futures = {job.stack: threads.submit(self._one, display, job, purpose, later=later) for job in jobs}
            pending: set[Future[StackResult | None]] = {*futures.values()}
            while pending:
                _, pending = wait(pending, TICK_SECONDS)
                display.tick()
                if self.engines.interrupted and not was_told:
                    note(INTERRUPTING)
                    was_told = True
        return {stack: future.result() for stack, future in futures.items()}

    def _one(self, display: Display, job: Job, purpose: str, *, later: bool) -> StackResult | None:
        if self.engines.interrupted:
            return StackResult(job.stack, "not started")
        started, error = time.monotonic(), None
        with EngineLog(self.folder / f"{job.stack}.log", purpose) as log, display.at_work(job.stack, log):
            try:
                job.work(self.context.engine(self.provider, job.stack, log, self.engines))
            except REPAIRABLE as refused:  # of this stack; it leaves the others alone
                error = refused
                log.note(f"error: {refused}")
        if later and isinstance(error, LockedError) and not self.engines.interrupted:
            note(f"  {job.stack}: locked by another process; it is tried again at the end")
            return None
        result = self._result(job.stack, log, error, time.monotonic() - started)
        display.ended(result)
        return result

    def _result(self, stack: str, log: EngineLog, error: Exception | None, seconds: float) -> StackResult:
        if error is None:
            outcome: Outcome = log.outcome
            return StackResult(stack, outcome, log.changes, seconds, log=log.path)
        outcome = "interrupted" if self.engines.interrupted else "failed"
        return StackResult(stack, outcome, log.changes, seconds, f"{error}", log.path, log.tail())


@contextmanager
def _passing_on_interrupts(engines: Engines) -> Iterator[None]:
    """Pass each interrupt on to the engines while the block runs. Signals that the caller ignores, as nohup does, stay ignored."""

    def interrupt(*_: object) -> None:
        engines.interrupt()

    heeded = [number for number in INTERRUPTS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
