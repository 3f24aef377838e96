"""Whether a tenant's programs run: what they hold in memory reaches its buckets when they stop cleanly, and only then."""

from collections.abc import Iterable
from typing import Any

from components.errors import UserError
from components.names import ALERTMANAGER, APIS, namespace
from components.tenant_config import TenantSettings
from scripts.cluster import Cluster


def programs(settings: TenantSettings) -> tuple[str, ...]:
    """Return what a tenant should have running."""
    return (*APIS, *((ALERTMANAGER,) if settings.alertmanager.enabled else ()))


def stateful_set(cluster: Cluster, tenant: str, program: str) -> dict[str, Any] | None:
    """Return the StatefulSet of a tenant's program; None where there is none."""
    return cluster.get("apps/v1", "StatefulSet", program, namespace(tenant))


def _waits(found: dict[str, Any]) -> str:
    """Return, as in '0 of 1 ready', what a StatefulSet waits for; '' for nothing."""
    # One pod at least: somebody may have scaled it to none.
    ready, wanted = found["status"].get("readyReplicas") or 0, max(found["spec"]["replicas"], 1)
    return f"{ready} of {wanted} ready" if ready < wanted else ""


def state_of(cluster: Cluster, tenant: str, names: Iterable[str]) -> str:
    """Return `ready`, or which of these programs of a tenant are not."""
    waiting = []
    for name in names:
        found = stateful_set(cluster, tenant, name)
        waits = "is missing" if found is None else _waits(found)
        if waits:
            waiting.append(f"{name} {waits}")
    return ", ".join(waiting) or "ready"


def require_ready(cluster: Cluster, tenant: str, names: Iterable[str], otherwise: str) -> None:
    """Raise `UserError` where a pod of these programs does not run, whose volume an update is to take away.

    What it holds is on that volume alone. A program that is gone, or about to go, has no volume any more.
    `otherwise` says how to go on all the same.
    """
    waiting = []
    for name in names:
        found = stateful_set(cluster, tenant, name)
        if found and "deletionTimestamp" not in found["metadata"] and _waits(found):
            waiting.append(f"{name} {_waits(found)}")
    if waiting:
        raise UserError(
            f"the tenant {tenant} is not ready ({', '.join(waiting)}): what its pods hold may not have reached its buckets, "
            f"and would be lost with their volumes; mend that first, or {otherwise}"
        )
