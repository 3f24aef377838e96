"""What the last update recorded of each tenant: the engine's state, in a tenant's terms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from components.headline import Fate, fate_of
from components.names import SYSTEM
from components.tenant_config import OnDelete, TenantSettings

TENANT_TYPE = "opstrace:tenant:Tenant"
WORKLOAD_TYPE = "kubernetes:apps/v1:StatefulSet"
BUCKET_TYPE = "aws:s3/bucket:Bucket"


@dataclass
class Applied:
    """A tenant that is there, with its buckets by kind. `policies` and `protect` count when it is deleted.

    `settings` are as `exported`; None where no update has come to an end with the tenant yet.
    """

    urn: str
    protect: bool
    settings: Mapping[str, Any] | None = None
    buckets: dict[str, str] = field(default_factory=dict)
    policies: set[OnDelete] = field(default_factory=set)

    @property
    def on_delete(self) -> Fate:
        """What becomes of the data."""
        return fate_of(self.policies)

    @property
    def recorded(self) -> TenantSettings | None:
        """The settings of the last update; None where none was whole, or the program of today does not know them."""
        try:
            return None if self.settings is None else TenantSettings.model_validate(self.settings)
        except ValidationError:
            return None


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
    return {tenant_of(urn): applied for urn, applied in found.items()}


def has_workloads(resources: Iterable[dict[str, Any]], tenant: str) -> bool:
    """Tell whether the state has any of the tenant's StatefulSets, whose pods hold what is not in its buckets yet."""
    names = (entry["urn"].rsplit("::", 1)[-1] for entry in resources if entry["type"] == WORKLOAD_TYPE)
    return any(name.startswith(f"tenant-{tenant}-") for name in names)


def user_tenants(resources: Iterable[dict[str, Any]]) -> dict[str, Applied]:
    """Return the tenants in the state without the instance's own."""
    return {name: applied for name, applied in tenants(resources).items() if name != SYSTEM}
