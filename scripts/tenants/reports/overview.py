"""All tenants of an instance at a glance: what stack files, states and the cluster have of each."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from components.core.names import namespace
from scripts.tenants.readiness import State, programs, reasons_of, states

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from components.config.tenant import OnDelete, TenantSettings
    from scripts.clients.kubernetes import Cluster
    from scripts.tenants.recorded_state import Applied

NAMESPACES = "/api/v1/namespaces"
NAMESPACE_END = namespace("")
UNKNOWN = "unknown"
NOT_APPLIED = "not applied"
TO_BE_DELETED = "to be deleted by the next update"
PROTECTED = "out of the file, but protected"


@dataclass(frozen=True)
class Glance:
    """One tenant at a glance.

    Attributes:
        name: Its name.
        state: `ready`, or what is not; `unknown` before state and cluster were read.
        reasons: Why its pods are not ready.
        is_explained: Whether the reasons were looked up; `explained` does that.
        retention: Its retention by kind of data; none where no file has the tenant.
        owner: Its owner; None for none.
        own_stack: Whether it has a stack of its own.
        protect: Whether its deletion is refused.
        on_delete: What its deletion does to its data; None where no file has the tenant.
        created: When its namespace was created, in seconds since the epoch; None where that is unknown.
    """

    name: str
    state: str = UNKNOWN
    reasons: list[str] = field(default_factory=list)
    is_explained: bool = True
    retention: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    own_stack: bool = False
    protect: bool = False
    on_delete: OnDelete | None = None
    created: float | None = None


def pod_states(cluster: Cluster, settings: Mapping[str, TenantSettings], deployed: Collection[str]) -> dict[str, State]:
    """Return the states of the pods of all tenants that are in a file and applied; raises as `Cluster.get` does."""
    return states(cluster, {name: programs(one) for name, one in settings.items() if name in deployed})


def explained(cluster: Cluster, tenant: Glance, settings: TenantSettings) -> Glance:
    """Return a tenant at a glance with the reasons of its state; raises as `Cluster.get` does."""
    return replace(tenant, reasons=reasons_of(cluster, tenant.name, programs(settings)), is_explained=True)


def creations(cluster: Cluster) -> dict[str, float]:
    """Return when each tenant's namespace was created, in seconds since the epoch, by tenant; one request reads all.

    Raises as `Cluster.get` does.
    """
    items = (cluster.read(NAMESPACES) or {}).get("items", [])
    times = {item["metadata"]["name"]: item["metadata"]["creationTimestamp"] for item in items}
    return {
        name.removesuffix(NAMESPACE_END): datetime.datetime.fromisoformat(at).timestamp()
        for name, at in times.items()
        if name.endswith(NAMESPACE_END)
    }


def glances(
    settings: Mapping[str, TenantSettings],
    own_stacks: Collection[str],
    deployed: Mapping[str, Applied] | None,
    pods: Mapping[str, State],
    created: Mapping[str, float],
) -> list[Glance]:
    """Return all tenants by name; `deployed` is None before the states were read."""
    alone = {*own_stacks}
    found = [
        _glance(name, settings.get(name), deployed, pods.get(name), own_stack=name in alone)
        for name in sorted({*settings, *(deployed or {})})
    ]
    return [replace(one, created=created.get(one.name)) for one in found]


def _glance(
    name: str,
    settings: TenantSettings | None,
    deployed: Mapping[str, Applied] | None,
    pods: State | None,
    *,
    own_stack: bool,
) -> Glance:
    if settings is None:
        gone = deployed[name] if deployed else None
        return Glance(name, PROTECTED if gone and gone.protect else TO_BE_DELETED, own_stack=own_stack)
    if deployed is not None and name not in deployed:
        pods = State(NOT_APPLIED)
    pods = pods or State(UNKNOWN)
    return Glance(
        name,
        pods.text,
        pods.reasons,
        pods.is_explained,
        settings.retention.model_dump(),
        settings.owner,
        own_stack,
        settings.protect,
        settings.on_delete,
    )
