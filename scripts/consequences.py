"""What a change of a tenant's settings takes away: volumes, pods, data. docs/tenants.md says it of each setting."""

from components.names import ALERTMANAGER
from components.section import hours
from components.tenant_config import TenantSettings
from scripts.applied import Applied

PROGRAMS = {"cortex": "metrics", "loki": "logs"}


def new_volumes(there: Applied, after: TenantSettings) -> dict[str, str]:
    """Return the programs whose pods get new volumes in place of theirs, with the settings that say so."""
    wanted = after.pods()
    return {
        program: f"size.{kind}.volume"
        for program, kind in PROGRAMS.items()
        if program in there.pods and there.pods[program].volume != getattr(wanted, kind).volume
    }


def deleted_parts(there: Applied, after: TenantSettings) -> list[str]:
    """Return the settings whose change deletes something of the tenant, with nothing in its place."""
    found = []
    if any(there.pods[program].replicas > after.pods().replicas for program in PROGRAMS if program in there.pods):
        found.append("size.replicas")
    if ALERTMANAGER in there.pods and not after.alertmanager.enabled:
        found.append("alertmanager.enabled")
    return found


def shorter_retention(there: Applied, after: TenantSettings) -> dict[str, tuple[str, str]]:
    """Return the kinds of data that are to be kept for less long, with how long they were and are to be."""
    wanted = {kind: hours(duration) for kind, duration in after.retention.model_dump().items()}
    kept = {PROGRAMS[program]: found for program, found in there.retention_hours.items()}
    return {
        kind: (_in_words(kept[kind]), _in_words(wanted[kind])) for kind in wanted if wanted[kind] < kept.get(kind, 0)
    }


def _in_words(count: int) -> str:
    return f"{count}h" if count % 24 else f"{count // 24}d"
