"""The list of tenants, kept up to date while a browser looks at it.

Files are read when they change. The cluster is asked every few seconds. The states of the engine take longest, so another
thread reads them (`States`).
"""

from __future__ import annotations

import operator
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from components.core.errors import UserError
from components.core.units import hours
from scripts.clients.errors import REPAIRABLE
from scripts.tenants.reports.overview import Glance, glances, pod_states
from scripts.web.data.states import States
from scripts.web.fault import reported
from scripts.web.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from scripts.tenants.readiness import State
    from scripts.web.subject import Subject

ROUND_SECONDS = 5  # between two looks at the cluster
SORTS: Mapping[str, Callable[[Glance], Any]] = {
    "name": lambda one: one.name,
    "age": lambda one: -(one.created or time.time()),
    "state": lambda one: (one.state != "ready", one.state),
    "metrics": lambda one: hours(one.retention["metrics"]) if one.retention else 0,
    "logs": lambda one: hours(one.retention["logs"]) if one.retention else 0,
    "owner": lambda one: (one.owner or "").lower(),
    "stack": lambda one: one.own_stack,
}


class TenantList:
    """All tenants of an instance at a glance.

    Attributes:
        version: Grows whenever the list changes.
        error: Why cluster, account or engine do not answer; None where they do.
        states: The tenants in the engine's states.
    """

    def __init__(self, subject: Subject) -> None:
        self.version = 0
        self.error: str | None = None
        self._subject = subject
        self._pods: Mapping[str, State] = {}
        self._pods_at: float | None = None
        self._pods_error: str | None = None
        self._watchers = 0
        self._lock = threading.Lock()  # of what was shown last
        self._shown: Sequence[Glance] | None = None
        # The last list, after what it was made of. It is one tuple, because threads replace it.
        self._made: tuple[Sequence[Any], Sequence[Glance]] = ((None,) * 5, ())
        self._rounds = Rounds("tenant list", ROUND_SECONDS, self.read, lambda: self.is_watched)
        self.states = States(subject, lambda: self.is_watched, self._notice_states)

    def start(self) -> None:
        """Begin to read."""
        self._rounds.start()
        self.states.start()

    def stop(self) -> None:
        """End to read."""
        self._rounds.stop()
        self.states.stop()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the list up to date while the block runs."""
        self._watchers += 1
        self._rounds.request()
        self.states.request()
        try:
            yield
        finally:
            self._watchers -= 1

    @property
    def is_watched(self) -> bool:
        """Whether a browser looks at the page."""
        return self._watchers > 0

    @property
    def applied_at(self) -> float | None:
        """When the engine's states were read, in seconds since the epoch; None before."""
        return self.states.read_at

    @property
    def pods_at(self) -> float | None:
        """When the cluster was asked for the pods, in seconds since the epoch; None before."""
        return self._pods_at

    def buckets(self) -> Mapping[str, frozenset[str]] | None:
        """Return the buckets of each tenant that is applied; None before the engine's states were read."""
        return self.states.buckets

    def tenants(self) -> Sequence[Glance]:
        """Return all tenants by name. They are made anew only when something of them was read that differs.

        Raises `UserError` where a stack file is invalid.
        """
        subject, states = self._subject, self.states
        parts = subject.settings(), subject.own_stacks(), states.deployed, self._pods, states.created
        made_of, made = self._made
        if not all(map(operator.is_, parts, made_of)):
            made = glances(*parts)
            self._made = parts, made
        return made

    def read(self) -> None:
        """Look at the pods. An error is kept as the reason."""
        states = self.states
        try:
            # Before the states were read, a namespace tells that its tenant is applied.
            applied = states.created if states.deployed is None else states.deployed
            pods = pod_states(self._subject.target().cluster, self._subject.settings(), applied)
            if pods != self._pods:  # for equal ones, the list would be made anew
                self._pods = pods
            self._pods_at = time.time()
            self._pods_error = None
        except REPAIRABLE as failed:
            self._subject.forget_target()
            self._pods_error = str(failed)
        except Exception as fault:
            self._pods_error = reported(fault)
        self._notice()

    def _notice_states(self) -> None:
        self._notice()
        self._rounds.request()  # of the pods of tenants that the states have now

    def _notice(self) -> None:
        """Count a version if the list or its error has changed."""
        with self._lock:
            error = self._pods_error or self.states.error
            try:
                shown = self.tenants()
            except UserError as invalid:
                shown, error = [], str(invalid)
            except Exception as fault:
                shown, error = [], reported(fault)
            if (shown, error) != (self._shown, self.error):
                self._shown, self.error = shown, error
                self.version += 1


def select(
    tenants: Sequence[Glance], text: str, key: Callable[[Glance], Any], *, descending: bool = False
) -> list[Glance]:
    """Return the tenants in whose name, state, reasons or owner each word of `text` stands, sorted by `key`."""
    wanted = text.lower().split()
    chosen = [one for one in tenants if all(word in _text_of(one) for word in wanted)]
    return sorted(chosen, key=key, reverse=descending)


def _text_of(tenant: Glance) -> str:
    return " ".join([tenant.name, tenant.state, *tenant.reasons, tenant.owner or ""]).lower()
