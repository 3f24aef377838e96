"""What a change of a tenant's settings deletes: volumes, pods, data. docs/reference/tenant-settings.md lists it for each setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.core.names import ALERTMANAGER
from components.core.units import hours

if TYPE_CHECKING:
    from components.config.tenant import TenantSettings
    from scripts.tenants.recorded_state import Applied

PROGRAMS = {"cortex": "metrics", "loki": "logs"}
HOURS_PER_DAY = 24


def new_volumes(deployed: Applied, after: TenantSettings) -> dict[str, str]:
    """Return the programs whose pods get new volumes, each with the setting that causes it."""
    size = after.pods()
    return {
        program: f"size.{kind}.volume"
        for program, kind in PROGRAMS.items()
        if program in deployed.pods and deployed.pods[program].volume != getattr(size, kind).volume
    }


def deleted_parts(deployed: Applied, after: TenantSettings) -> list[str]:
    """Return the settings whose change deletes a part of the tenant without a replacement."""
    settings = []
    replicas = after.pods().replicas
    if any(deployed.pods[program].replicas > replicas for program in PROGRAMS if program in deployed.pods):
        settings.append("size.replicas")
    if ALERTMANAGER in deployed.pods and not after.alertmanager.enabled:
        settings.append("alertmanager.enabled")
    return settings


def shorter_retention(deployed: Applied, after: TenantSettings) -> dict[str, tuple[str, str]]:
    """Return the kinds of data whose retention gets shorter, with the old and the new retention."""
    new = {kind: hours(duration) for kind, duration in after.retention.model_dump().items()}
    old = {PROGRAMS[program]: kept for program, kept in deployed.retention_hours.items()}
    return {kind: (_in_words(old[kind]), _in_words(new[kind])) for kind in new if new[kind] < old.get(kind, 0)}


def _in_words(count: int) -> str:
    return f"{count}h" if count % HOURS_PER_DAY else f"{count // HOURS_PER_DAY}d"
