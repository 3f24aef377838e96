"""What the last update recorded of each tenant: the engine's state, in a tenant's terms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from components.headline import Fate, fate_of
from components.names import SYSTEM
from components.retention import retention_hours
from components.tenant_config import OnDelete

TENANT_TYPE = "opstrace:tenant:Tenant"
WORKLOAD_TYPE = "kubernetes:apps/v1:StatefulSet"
SETTINGS_TYPE = "kubernetes:core/v1:ConfigMap"
BUCKET_TYPE = "aws:s3/bucket:Bucket"

Of = TypeVar("Of")


@dataclass(frozen=True)
class Pods:
    """How many pods a program has, and the size of the volume of each, a Kubernetes quantity."""

    replicas: int
    volume: str


def _pods_of(spec: Mapping[str, Any]) -> Pods:
    """Return what the spec of a StatefulSet says of its pods."""
    (claim,) = spec["volumeClaimTemplates"]
    return Pods(spec["replicas"], claim["spec"]["resources"]["requests"]["storage"])


@dataclass
class Applied:
    """A tenant that is there, with its buckets by kind. `policies` and `protect` count when it is deleted.

    `settings` are as `exported`, of the last update that came to an end with the tenant; None where none has.
    `pods` are those that there are, and `retention_hours` what is in force, by program. `has_workloads`: whether there
    are pods, or have to be made anew.
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
        """What becomes of the data."""
        return fate_of(self.policies)


def tenant_of(urn: str) -> str:
    """Return the name of the tenant whose component has the URN."""
    return urn.rsplit("::", 1)[-1].removeprefix("tenant-")


def tenants(resources: Iterable[dict[str, Any]]) -> dict[str, Applied]:
    """Return the tenants in the state, `system` among them, by name."""
    entries = list(resources)
    found = {
        entry["urn"]: Applied(entry["urn"], bool(entry.get("protect")), (entry.get("outputs") or {}).get("settings"))
        for entry in entries
        if entry["type"] == TENANT_TYPE
    }
    for entry in entries:
        owner = found.get(entry.get("parent", ""))
        if owner and entry["type"] == BUCKET_TYPE:
            kind = entry["urn"].removesuffix("-bucket").rsplit("-", 1)[-1]  # as components/buckets.py names them
            owner.buckets[kind] = str(entry["id"])
            owner.policies.add("retain" if entry.get("retainOnDelete") else "purge")
    by_name = {urn.rsplit("::", 1)[-1]: one for urn, one in found.items()}
    for entry in entries:
        if entry["type"] in (WORKLOAD_TYPE, SETTINGS_TYPE):
            _add_program(entry, by_name)
    return {tenant_of(urn): applied for urn, applied in found.items()}


def _add_program(entry: Mapping[str, Any], by_name: Mapping[str, Applied]) -> None:
    """Note a program's StatefulSet or ConfigMap with its tenant, whose component's name its own begins with."""
    end = "-stateful-set" if entry["type"] == WORKLOAD_TYPE else "-config"
    name, _, program = entry["urn"].rsplit("::", 1)[-1].removesuffix(end).rpartition("-")
    if name not in by_name or entry.get("delete"):  # of a replacement, the old one
        return
    owner = by_name[name]
    if entry["type"] == SETTINGS_TYPE:
        found = retention_hours(entry["inputs"], name.removeprefix("tenant-"))
        owner.retention_hours |= {program: found} if found else {}
        return
    owner.has_workloads = True
    if not entry.get("pendingReplacement"):
        owner.pods[program] = _pods_of(entry["inputs"]["spec"])


def of_users(by_name: Mapping[str, Of]) -> dict[str, Of]:
    """Return what there is of tenants without that of the instance's own."""
    return {name: one for name, one in by_name.items() if name != SYSTEM}


def user_tenants(resources: Iterable[dict[str, Any]]) -> dict[str, Applied]:
    """Return the tenants in the state without the instance's own."""
    return of_users(tenants(resources))
