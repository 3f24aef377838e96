"""Whether a tenant's pods are ready. Only pods that stop cleanly write the data in memory to the buckets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from components.core.errors import UserError
from components.core.names import ALERTMANAGER, APIS, namespace
from localcloud.plugins.kubernetes.reasons import reasons
from scripts.clients.concurrent import map_concurrently

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from components.config.tenant import TenantSettings
    from scripts.clients.kubernetes import Cluster

READY = "ready"
STATEFUL_SETS = "/apis/apps/v1/statefulsets"  # of all namespaces
MOST_EXPLAINED = 20  # tenants whose reasons are looked up: that takes some requests for each


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


@dataclass(frozen=True)
class State:
    """Whether a tenant's pods are ready: `READY` or what is not, and the reasons in the cluster's own words.

    With `is_explained` false, the reasons were not looked up.
    """

    text: str
    reasons: list[str] = field(default_factory=list)
    is_explained: bool = True


def states(cluster: Cluster, programs_of: Mapping[str, Iterable[str]]) -> dict[str, State]:
    """Return the states of many tenants by name, which has the programs of each; one request reads all StatefulSets.

    Of unready tenants, the first `MOST_EXPLAINED` have reasons.
    """
    items = (cluster.read(STATEFUL_SETS) or {}).get("items", [])
    found = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in items}
    of_tenants = {
        tenant: {name: found.get((namespace(tenant), name)) for name in names} for tenant, names in programs_of.items()
    }
    texts = {tenant: _all_unready(stateful_sets) or READY for tenant, stateful_sets in of_tenants.items()}
    unready = [tenant for tenant, text in texts.items() if text != READY][:MOST_EXPLAINED]
    explained = map_concurrently(lambda tenant: _reasons(cluster, of_tenants[tenant].values()), unready)
    why = dict(zip(unready, explained, strict=True))
    return {
        tenant: State(text, why.get(tenant, []), is_explained=text == READY or tenant in why)
        for tenant, text in texts.items()
    }


def state_of(cluster: Cluster, tenant: str, names: Iterable[str]) -> str:
    """Return `READY`, or which of these programs of a tenant are not."""
    return _all_unready(_stateful_sets(cluster, tenant, names)) or READY


def reasons_of(cluster: Cluster, tenant: str, names: Iterable[str]) -> list[str]:
    """Return why programs of a tenant are not ready, in the cluster's own words; none where all are ready."""
    return _reasons(cluster, _stateful_sets(cluster, tenant, names).values())


def _reasons(cluster: Cluster, stateful_sets: Iterable[dict[str, Any] | None]) -> list[str]:
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
