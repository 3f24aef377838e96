"""Whether a tenant's pods are ready. Only pods that stop cleanly write the data in memory to the buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from components.core.errors import UserError
from components.core.names import ALERTMANAGER, APIS, namespace
from localcloud.plugins.kubernetes.reasons import reasons

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from components.config.tenant import TenantSettings
    from scripts.clients.kubernetes import Cluster

READY = "ready"


def programs(settings: TenantSettings) -> tuple[str, ...]:
    """Return the programs that a tenant with these settings runs."""
    return (*APIS, *((ALERTMANAGER,) if settings.alertmanager.enabled else ()))


def _stateful_sets(cluster: Cluster, tenant: str, names: Iterable[str]) -> dict[str, dict[str, Any] | None]:
    """Return the StatefulSets of a tenant's programs by name; None for one that does not exist."""
    return {name: cluster.get("apps/v1", "StatefulSet", name, namespace(tenant)) for name in names}


def _unready(stateful_set: Mapping[str, Any] | None) -> str:
    """Return what a StatefulSet waits for, such as '0 of 1 ready'; '' for nothing."""
    if stateful_set is None:
        return "is missing"
    # Expect at least one pod, also where somebody scaled the StatefulSet to none.
    ready = stateful_set["status"].get("readyReplicas") or 0
    expected = max(stateful_set["spec"]["replicas"], 1)
    return f"{ready} of {expected} ready" if ready < expected else ""


def _all_unready(stateful_sets: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Return which programs are not ready, each with what it waits for; '' for none."""
    return ", ".join(f"{name} {waits}" for name, one in stateful_sets.items() if (waits := _unready(one)))


def state_of(cluster: Cluster, tenant: str, names: Iterable[str]) -> str:
    """Return `READY`, or which of these programs of a tenant are not."""
    return _all_unready(_stateful_sets(cluster, tenant, names)) or READY


def reasons_of(cluster: Cluster, tenant: str, names: Iterable[str]) -> list[str]:
    """Return why programs of a tenant are not ready, in the cluster's own words; none where all are ready."""
    stateful_sets = _stateful_sets(cluster, tenant, names).values()
    found = [reason for one in stateful_sets if one and _unready(one) for reason in reasons(cluster.objects, one)]
    return [*dict.fromkeys(found)]


def require_ready(cluster: Cluster, tenant: str, names: Iterable[str], override: str) -> None:
    """Raise `UserError` where a pod of these programs is not ready: an update would delete a volume with unwritten data.

    A program that is gone, or being deleted, has no such volume. `override` tells how to continue regardless.
    """
    stateful_sets = _stateful_sets(cluster, tenant, names)
    unready = _all_unready(
        {name: one for name, one in stateful_sets.items() if one and "deletionTimestamp" not in one["metadata"]}
    )
    if unready:
        raise UserError(
            f"the tenant {tenant} is not ready ({unready}): data in its pods may not be in its buckets yet, and would be lost "
            f"with the volumes. Make the pods ready first, or {override}"
        )
