"""What a change of a tenant's settings takes away: volumes, pods, data. docs/tenants.md says it of each setting."""

from collections.abc import Mapping
from typing import Any

from components.errors import UserError
from components.section import amount, hours
from components.tenant_config import TenantSettings
from scripts.cluster import Cluster
from scripts.readiness import require_ready, stateful_set

PROGRAMS = {"metrics": "cortex", "logs": "loki"}


def new_volumes(before: TenantSettings, after: TenantSettings) -> dict[str, str]:
    """Return the settings with which pods get new volumes in place of theirs, with the program that they are of."""
    old, new = before.pods(), after.pods()
    pairs = {kind: (getattr(old, kind).volume, getattr(new, kind).volume) for kind in PROGRAMS}
    return {f"size.{kind}.volume": PROGRAMS[kind] for kind, (was, is_) in pairs.items() if was != is_}


def taken_away(before: TenantSettings, after: TenantSettings) -> list[str]:
    """Return the settings whose change deletes something of the tenant, which the engine refuses where it is protected."""
    found = [*new_volumes(before, after)]
    if after.pods().replicas < before.pods().replicas:
        found.append("size.replicas")
    if before.alertmanager.enabled and not after.alertmanager.enabled:
        found.append("alertmanager.enabled")
    return found


def shorter_retention(before: TenantSettings, after: TenantSettings) -> dict[str, tuple[str, str]]:
    """Return the kinds of data that are to be kept for less long, with how long they were and are to be."""
    old, new = before.retention.model_dump(), after.retention.model_dump()
    return {kind: (old[kind], new[kind]) for kind in old if hours(new[kind]) < hours(old[kind])}


def require_possible(
    tenant: str, before: TenantSettings, after: TenantSettings, *, protect: bool, cluster: Cluster, force: bool
) -> None:
    """Raise `UserError` where a change is refused by the engine, or loses what pods that do not run hold on their volumes.

    `protect`: whether the tenant is protected in the state. `force`: what their volumes hold may be lost.
    """
    gone = taken_away(before, after)
    if gone and protect:
        raise UserError(
            f"the tenant {tenant} is protected: to change {', '.join(gone)} takes something of it away, which no update does then; "
            "set protect=false first, and true again afterwards"
        )
    replaced = [
        program
        for setting, program in new_volumes(before, after).items()
        if not _has_volume(stateful_set(cluster, tenant, program), getattr(after.pods(), setting.split(".")[1]).volume)
    ]
    if not force:
        require_ready(cluster, tenant, replaced, "use `./opstrace tenants set` with --force")


def _has_volume(found: Mapping[str, Any] | None, wanted: str) -> bool:
    """Tell whether pods have the volume that is wanted already, as after an update that was interrupted."""
    if found is None:
        return False
    (claim, *_) = found["spec"]["volumeClaimTemplates"]
    return amount(claim["spec"]["resources"]["requests"]["storage"]) == amount(wanted)
