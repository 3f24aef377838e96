"""Recovery of a stack after an update that was killed: the created resources are taken into the state."""

from collections.abc import Callable
from typing import Any

from components.core.errors import UserError
from components.core.resource_names import logical_name
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from scripts.engine.gone_groups import gone_attachments
from scripts.engine.operations import Operations
from scripts.engine.pending_creates import adopt_planned, settle_pending
from scripts.engine.stack_state import StackReader, resources_in
from scripts.ui.terminal import note


class Recovery:
    """Recovers one stack. It remembers whether it met resources for which the state has no place."""

    def __init__(self, reader: StackReader, operations: Operations, tell: Callable[[str], object] = note) -> None:
        self._reader = reader
        self._operations = operations
        self._tell = tell
        self._has_orphans = False

    def settle(self, aws: Clients, cluster: Cluster, *, thorough: bool) -> bool:
        """Take resources that a killed update created into the state. Return False if there was no reason to look.

        It drops attachments of autoscaling groups that are gone first, because AWS cannot delete them. Reasons are pending operations, which a killed engine leaves, and a failed last update, which a killed
        plugin leaves. With `thorough` it looks in any case.
        """
        state = self._reader.export()  # in any case, because reading repairs truncated state files
        self._forget_gone_groups(state, aws)
        if not (thorough or _has_pending(state) or self._last_update_failed()):
            return False
        # The refresh takes the lock, so that no update runs any more: operations that are pending now stay pending.
        self._operations.run("refresh", "--yes", "--skip-preview", "--skip-pending-creates")
        state = self._reader.export()
        if _has_pending(state):
            self._settle_pending(state, aws, cluster)
        if resources_in(state):
            self._adopt_planned(aws, cluster)
        return True

    def require_no_orphans(self) -> None:
        """Raise `UserError` if `settle` met resources for which the state has no place."""
        if self._has_orphans:
            raise UserError(
                "a killed update may have created the resources that the lines above name as without a place in the state. "
                "Look whether they exist, and delete them by hand"
            )

    def _forget_gone_groups(self, state: dict[str, Any], aws: Clients) -> None:
        gone = gone_attachments(resources_in(state), aws)
        if not gone:
            return
        self._tell(f"Autoscaling groups that are gone, and leave the state: {', '.join(sorted({*gone.values()}))}.")
        targets = [option for urn in gone for option in ("--target", urn)]
        self._operations.run("refresh", "--yes", "--skip-preview", "--skip-pending-creates", *targets)

    def _last_update_failed(self) -> bool:
        results = self._reader.results()
        return bool(results) and results[0] != "succeeded"

    def _settle_pending(self, state: dict[str, Any], aws: Clients, cluster: Cluster) -> None:
        settled = settle_pending(state, aws, cluster)
        count = len(settled.taken) + len(settled.dropped) + len(settled.orphans)
        self._tell(f"The last update was killed. The result of {count} creates is unknown.")
        for urn in settled.taken:
            self._tell(f"  taken into the state, if it exists: {logical_name(urn)}")
        for urn in settled.dropped:
            self._tell(f"  does not exist, or is created again without harm: {logical_name(urn)}")
        for urn, identity in settled.orphans.items():
            self._tell(
                f"  without a place in the state, because its parent was destroyed: {logical_name(urn)}: {identity}"
            )
        self._has_orphans |= bool(settled.orphans)
        self._replace(state, settled.state)

    def _adopt_planned(self, aws: Clients, cluster: Cluster) -> None:
        planned = self._reader.planned_creates()
        state = self._reader.export()
        changed, taken = adopt_planned(state, planned, aws, cluster)
        for urn in taken:
            self._tell(f"Created by a failed update, and taken into the state: {logical_name(urn)}.")
        if taken:
            self._replace(state, changed)

    def _replace(self, state: dict[str, Any], changed: dict[str, Any]) -> None:
        """Replace the stack's state, unless it is not `state` any more, and let the engine read the resources."""
        if self._reader.export() != state:
            raise UserError(f"another command changed the stack {self._operations.stack} meanwhile; run this again")
        self._operations.run_with(changed, "stack", "import")
        self._operations.run("refresh", "--yes", "--skip-preview")


def _has_pending(state: dict[str, Any]) -> bool:
    return bool((state.get("deployment") or {}).get("pending_operations"))
