"""Whether a tenant's programs run: what they hold in memory reaches its buckets when they stop cleanly, and only then."""

from collections.abc import Iterable, Mapping
from typing import Any

from components.errors import UserError
from components.names import ALERTMANAGER, APIS, namespace
from components.tenant_config import TenantSettings
from scripts.cluster import Cluster


def programs(settings: TenantSettings) -> tuple[str, ...]:
    """Return what a tenant should have running."""
    return (*APIS, *((ALERTMANAGER,) if settings.alertmanager.enabled else ()))


def _stateful_sets(cluster: Cluster, tenant: str, names: Iterable[str]) -> dict[str, dict[str, Any] | None]:
    """Return the StatefulSets of a tenant's programs by name; None for one that is not there."""
    return {name: cluster.get("apps/v1", "StatefulSet", name, namespace(tenant)) for name in names}


def _waits(found: Mapping[str, Any] | None) -> str:
    """Return, as in '0 of 1 ready', what a StatefulSet waits for; '' for nothing."""
    if found is None:
        return "is missing"
    # One pod at least: somebody may have scaled it to none.
    ready, wanted = found["status"].get("readyReplicas") or 0, max(found["spec"]["replicas"], 1)
    return f"{ready} of {wanted} ready" if ready < wanted else ""


def _waiting(found: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Return which of these programs are not ready, with what they wait for; '' for none."""
    return ", ".join(f"{name} {waits}" for name, one in found.items() if (waits := _waits(one)))


def state_of(cluster: Cluster, tenant: str, names: Iterable[str]) -> str:
    """Return `ready`, or which of these programs of a tenant are not."""
    return _waiting(_stateful_sets(cluster, tenant, names)) or "ready"


def require_ready(cluster: Cluster, tenant: str, names: Iterable[str], otherwise: str) -> None:
    """Raise `UserError` where a pod of these programs does not run, whose volume an update is to take away.

    What it holds is on that volume alone. A program that is gone, or about to go, has no volume any more.
    `otherwise` says how to go on all the same.
    """
    found = _stateful_sets(cluster, tenant, names)
    waiting = _waiting({name: one for name, one in found.items() if one and "deletionTimestamp" not in one["metadata"]})
    if waiting:
        raise UserError(
            f"the tenant {tenant} is not ready ({waiting}): what its pods hold may not have reached its buckets, and would be "
            f"lost with their volumes; mend that first, or {otherwise}"
        )
