"""What a change of a tenant's settings takes away: volumes, pods, data. docs/tenants.md says it of each setting."""

from components.errors import UserError
from components.names import ALERTMANAGER
from components.section import hours
from components.tenant_config import TenantSettings
from scripts.applied import Applied
from scripts.cluster import Cluster
from scripts.readiness import require_ready

PROGRAMS = {"cortex": "metrics", "loki": "logs"}


def new_volumes(there: Applied, after: TenantSettings) -> dict[str, str]:
    """Return the programs whose pods get new volumes in place of theirs, with the settings that say so."""
    wanted = after.pods()
    return {
        program: f"size.{kind}.volume"
        for program, kind in PROGRAMS.items()
        if program in there.pods and there.pods[program].volume != getattr(wanted, kind).volume
    }


def taken_away(there: Applied, after: TenantSettings) -> list[str]:
    """Return the settings whose change deletes something of the tenant, which the engine refuses where it is protected."""
    found = [*new_volumes(there, after).values()]
    if any(there.pods[program].replicas > after.pods().replicas for program in PROGRAMS if program in there.pods):
        found.append("size.replicas")
    if ALERTMANAGER in there.pods and not after.alertmanager.enabled:
        found.append("alertmanager.enabled")
    return found


def shorter_retention(there: Applied, after: TenantSettings) -> dict[str, tuple[str, str]]:
    """Return the kinds of data that are to be kept for less long, with how long they were and are to be."""
    if there.recorded is None:
        return {}
    old, new = there.recorded.retention.model_dump(), after.retention.model_dump()
    return {kind: (old[kind], new[kind]) for kind in old if hours(new[kind]) < hours(old[kind])}


def require_possible(tenant: str, there: Applied, after: TenantSettings, cluster: Cluster, *, force: bool) -> None:
    """Raise `UserError` where a change is refused by the engine, or loses what pods that do not run hold on their volumes.

    `force`: what their volumes hold may be lost.
    """
    gone = taken_away(there, after)
    if gone and there.protect:
        raise UserError(
            f"the tenant {tenant} is protected: to change {', '.join(gone)} takes something of it away, which no update does then; "
            "set protect=false first, and true again afterwards"
        )
    if not force:
        require_ready(cluster, tenant, new_volumes(there, after), "use `./opstrace tenants set` with --force")
