"""The tenants in the engine's states: each state is kept until its stack is updated.

Each state takes the engine half a second of a processor. So they are read in a thread of their own, while another one follows
the pods.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from scripts.clients.concurrent import map_concurrently
from scripts.clients.errors import REPAIRABLE
from scripts.tenants.locate import deployed_in, stacks_of
from scripts.tenants.reports.overview import creations
from scripts.web.fault import reported
from scripts.web.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.context.context import Target
    from scripts.tenants.recorded_state import Applied
    from scripts.web.subject import Subject

    Kept = dict[str, tuple[str, Mapping[str, Applied]]]
    """The tenants of each stack, after when it was last updated."""

AT_ONCE = 4  # states: each takes a processor, which answers to browsers need too
LOOK_SECONDS = 5  # between two looks whether states are due
STATES_SECONDS = 300  # between two questions which stacks were updated


class States:
    """The tenants in the states of an instance's stacks.

    Args:
        subject: The instance.
        is_watched: Tells whether browsers look. Otherwise, states are read at the start and on request alone.
        told: Called after each time they were read.

    Attributes:
        deployed: The tenants that are applied, by name; None before the states were read.
        buckets: The buckets of each of them; None before.
        created: When each tenant's namespace was created, in seconds since the epoch.
        read_at: When the states were read, in seconds since the epoch; None before.
        error: Why they cannot be read; None where they can.
    """

    def __init__(self, subject: Subject, is_watched: Callable[[], bool], told: Callable[[], None]) -> None:
        self.deployed: Mapping[str, Applied] | None = None
        self.buckets: Mapping[str, frozenset[str]] | None = None
        self.created: Mapping[str, float] = {}
        self.read_at: float | None = None
        self.error: str | None = None
        self._subject, self._told = subject, told
        self._kept: Kept = {}
        self._again = set[str]()  # stacks to read in any case
        self._lock = threading.Lock()  # of that set
        self._is_stale = True
        self._rounds = Rounds("states of the engine", LOOK_SECONDS, self.read, is_watched)
        self.start, self.stop, self.request = self._rounds.start, self._rounds.stop, self._rounds.request

    def refresh(self, stack: str | None = None) -> None:
        """Read soon which stacks were updated, and the state of `stack` in any case; None for all states."""
        if stack:
            with self._lock:
                self._again.add(stack)
        else:
            self._kept = {}  # a read that is under way keeps what it reads in the old mapping
        self._is_stale = True
        self._rounds.request()

    def read(self) -> None:
        """Read what is due. An error is kept as the reason."""
        if not self._is_stale and time.time() - (self.read_at or 0) <= STATES_SECONDS:
            return
        self._is_stale = False  # first: a change that ends now makes it stale again
        try:
            self._read(self._subject.target())
            self.error = None
        except REPAIRABLE as failed:
            self._subject.forget_target()
            self._fail(str(failed))
        except Exception as fault:
            self._fail(reported(fault))
        self._told()

    def _fail(self, error: str) -> None:
        self.error, self._is_stale = error, True  # what failed is asked for again in the next round

    def _read(self, target: Target) -> None:
        if self.deployed is None:
            self.created = creations(target.cluster)
            self._told()  # the states of many stacks take minutes
        kept = self._kept
        with self._lock:
            again, self._again = self._again, set()
        for stack in again:
            kept.pop(stack, None)
        updated = target.engine.last_updates()
        stacks = stacks_of(self._subject.instance, updated)

        def read(stack: str) -> None:
            kept[stack] = updated[stack], deployed_in(target.context, target.provider, stack)

        map_concurrently(read, [stack for stack in stacks if not _is_kept(kept, stack, updated[stack])], AT_ONCE)
        self.deployed = {name: one for stack in stacks for name, one in kept[stack][1].items()}
        self.buckets = {name: frozenset(one.buckets.values()) for name, one in self.deployed.items()}
        self.created = creations(target.cluster)
        self.read_at = time.time()


def _is_kept(kept: Kept, stack: str, updated: str) -> bool:
    """Tell whether the state of a stack is kept since its last update; some backends tell of none."""
    return bool(updated) and stack in kept and kept[stack][0] == updated
