"""The last operations on the stacks of an instance: on its own, and on those of tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.core.errors import UserError
from scripts.clients.concurrent import map_concurrently

if TYPE_CHECKING:
    from scripts.context.context import Target
    from scripts.engine.stack_state import Operation

MOST = 10


def last_operations(target: Target, instance: str) -> list[tuple[str, Operation]]:
    """Return the last operations, each with its stack, the newest first.

    Each history takes half a second of a processor. So those of tenants are read only where the stack is among the `MOST`
    that were updated last. One that was deleted since then is left out.
    """

    def operations(stack: str) -> list[Operation]:
        try:
            return target.context.engine(target.provider, stack).operations(MOST)
        except UserError:
            if stack == instance:
                raise
            return []

    updated = target.engine.last_updates()
    tenants = [stack for stack in updated if stack.startswith(f"{instance}.")]
    newest = sorted(tenants, key=updated.__getitem__, reverse=True)[:MOST]
    stacks = [instance, *newest] if instance in updated else newest
    histories = map_concurrently(operations, stacks)
    found = [(stack, one) for stack, history in zip(stacks, histories, strict=True) for one in history]
    return sorted(found, key=lambda one: one[1].started, reverse=True)[:MOST]
