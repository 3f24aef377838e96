"""The list of tenants, kept up to date while a browser looks at it.

Files are read when they change. The cluster is asked every few seconds. The states of the engine take longest: they are read
at the start, after each change of the page, every few minutes, and on request.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from components.core.errors import UserError
from components.core.units import hours
from scripts.clients.errors import REPAIRABLE
from scripts.tenants.locate import deployed_tenants
from scripts.tenants.reports.overview import Glance, creations, glances, pod_states
from scripts.web.fault import reported
from scripts.web.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from scripts.context.context import Target
    from scripts.tenants.readiness import State
    from scripts.tenants.recorded_state import Applied
    from scripts.web.subject import Subject

ROUND_SECONDS = 5  # between two looks at the cluster
APPLIED_SECONDS = 300  # between two looks at the engine's states
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
        error: Why cluster or account do not answer; None where they do.
    """

    def __init__(self, subject: Subject) -> None:
        self.version = 0
        self.error: str | None = None
        self._subject = subject
        self._deployed: Mapping[str, Applied] | None = None
        self._buckets: Mapping[str, frozenset[str]] | None = None
        self._pods: Mapping[str, State] = {}
        self._created: Mapping[str, float] = {}
        self._applied_at: float | None = None  # in seconds since the epoch; None before
        self._pods_at: float | None = None
        self._is_stale = True
        self._watchers = 0
        self._shown: list[Glance] | None = None
        self._rounds = Rounds("tenant list", ROUND_SECONDS, self._read, lambda: self.is_watched)

    def start(self) -> None:
        """Begin to read."""
        self._rounds.start()

    def stop(self) -> None:
        """End to read."""
        self._rounds.stop()

    def refresh(self) -> None:
        """Read everything again soon."""
        self._is_stale = True
        self._rounds.request()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the list up to date while the block runs."""
        self._watchers += 1
        self._rounds.request()
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
        return self._applied_at

    @property
    def pods_at(self) -> float | None:
        """When the cluster was asked for the pods, in seconds since the epoch; None before."""
        return self._pods_at

    def buckets(self) -> Mapping[str, frozenset[str]] | None:
        """Return the buckets of each tenant that is applied; None before the engine's states were read."""
        return self._buckets

    def tenants(
        self, text: str = "", key: Callable[[Glance], Any] = SORTS["name"], *, descending: bool = False
    ) -> list[Glance]:
        """Return the tenants in whose name, state, reasons or owner `text` stands, sorted by `key`.

        Raises `UserError` where a stack file is invalid.
        """
        subject = self._subject
        found = glances(subject.settings(), subject.own_stacks(), self._deployed, self._pods, self._created)
        wanted = text.lower().split()
        chosen = [one for one in found if all(word in _text_of(one) for word in wanted)]
        return sorted(chosen, key=key, reverse=descending)

    def _read(self) -> None:
        try:
            target = self._subject.target()
            if self._deployed is None or self._is_due():
                self._read_applied(target)
            self._pods = pod_states(target.cluster, self._subject.settings(), self._deployed or {})
            self._pods_at = time.time()
            error = None
        except REPAIRABLE as failed:
            self._subject.forget_target()
            error = str(failed)
        except Exception as fault:
            error = reported(fault)
        self._notice(error)

    def _read_applied(self, target: Target) -> None:
        self._is_stale = False  # first: a change that ends now makes it stale again
        try:
            deployed = deployed_tenants(target.context, target.provider, self._subject.instance)
            self._deployed = deployed
            self._buckets = {name: frozenset(one.buckets.values()) for name, one in deployed.items()}
            self._created = creations(target.cluster)
        except Exception:
            self._is_stale = True  # what failed is asked for again in the next round
            raise
        self._applied_at = time.time()

    def _is_due(self) -> bool:
        return self._is_stale or time.time() - (self._applied_at or 0) > APPLIED_SECONDS

    def _notice(self, error: str | None) -> None:
        """Count a version if the list or its error has changed."""
        try:
            shown = self.tenants()
        except UserError as invalid:
            shown, error = [], str(invalid)
        except Exception as fault:
            shown, error = [], reported(fault)
        if (shown, error) != (self._shown, self.error):
            self._shown, self.error = shown, error
            self.version += 1


def _text_of(tenant: Glance) -> str:
    return " ".join([tenant.name, tenant.state, *tenant.reasons, tenant.owner or ""]).lower()
