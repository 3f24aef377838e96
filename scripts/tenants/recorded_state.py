"""The tenants in the engine's state, as the last update recorded them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from components.core.names import SYSTEM
from components.core.recorded_retention import retention_hours
from components.core.resource_names import (
    BUCKET_TYPE,
    CONFIG_MAP_TYPE,
    STATEFUL_SET_TYPE,
    TENANT_TYPE,
    bucket_kind,
    logical_name,
    program_of,
    tenant_of,
)
from components.tenant.change_summary import Fate, fate_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from components.config.tenant import OnDelete

Value = TypeVar("Value")


@dataclass(frozen=True)
class Pods:
    """How many pods a program has, and the size of the volume of each, a Kubernetes quantity."""

    replicas: int
    volume: str


def _pods_of(spec: Mapping[str, Any]) -> Pods:
    """Return the pods that the spec of a StatefulSet declares."""
    (claim,) = spec["volumeClaimTemplates"]
    return Pods(spec["replicas"], claim["spec"]["resources"]["requests"]["storage"])


@dataclass
class Applied:
    """A tenant in the state.

    Attributes:
        urn: The URN of its component.
        protect: Whether the engine refuses to delete it.
        settings: The settings that the last complete update with the tenant recorded, as `exported` gives them; None if
            no update completed.
        buckets: Its buckets by kind of data.
        policies: What the state records for its buckets on deletion.
        pods: The pods of each program.
        retention_hours: The retention in force, by program.
        has_workloads: Whether it has pods, or an update has to replace them.
    """

    urn: str
    protect: bool
    settings: Mapping[str, Any] | None = None
    buckets: dict[str, str] = field(default_factory=dict)
    policies: set[OnDelete] = field(default_factory=set)
    pods: dict[str, Pods] = field(default_factory=dict)
    retention_hours: dict[str, int] = field(default_factory=dict)
    has_workloads: bool = False

    @property
    def on_delete(self) -> Fate:
        """What happens to the data when the tenant is deleted."""
        return fate_of(self.policies)


def tenants(resources: Iterable[dict[str, Any]]) -> dict[str, Applied]:
    """Return the tenants in the state, `system` among them, by name."""
    entries = list(resources)
    by_urn = {
        entry["urn"]: Applied(entry["urn"], bool(entry.get("protect")), (entry.get("outputs") or {}).get("settings"))
        for entry in entries
        if entry["type"] == TENANT_TYPE
    }
    for entry in entries:
        owner = by_urn.get(entry.get("parent", ""))
        if owner and entry["type"] == BUCKET_TYPE:
            kind = bucket_kind(logical_name(entry["urn"]))
            owner.buckets[kind] = str(entry["id"])
            owner.policies.add("retain" if entry.get("retainOnDelete") else "purge")
    by_name = {logical_name(urn): one for urn, one in by_urn.items()}
    for entry in entries:
        if entry["type"] in (STATEFUL_SET_TYPE, CONFIG_MAP_TYPE):
            _add_program(entry, by_name)
    return {tenant_of(logical_name(urn)): applied for urn, applied in by_urn.items()}


def _add_program(entry: Mapping[str, Any], by_name: Mapping[str, Applied]) -> None:
    """Add a program's StatefulSet or ConfigMap to its tenant, by the entry's logical name."""
    name, program = program_of(logical_name(entry["urn"]))
    if name not in by_name or entry.get("delete"):  # `delete` marks the old resource of a replacement
        return
    owner = by_name[name]
    if entry["type"] == CONFIG_MAP_TYPE:
        retention = retention_hours(entry["inputs"], tenant_of(name))
        owner.retention_hours |= {program: retention} if retention else {}
        return
    owner.has_workloads = True
    if not entry.get("pendingReplacement"):
        owner.pods[program] = _pods_of(entry["inputs"]["spec"])


def of_users(by_name: Mapping[str, Value]) -> dict[str, Value]:
    """Return a mapping by tenant without the instance's own tenant."""
    return {name: one for name, one in by_name.items() if name != SYSTEM}


def user_tenants(resources: Iterable[dict[str, Any]]) -> dict[str, Applied]:
    """Return the tenants in the state without the instance's own."""
    return of_users(tenants(resources))
