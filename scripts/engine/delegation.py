"""The delegation of an instance's DNS zone. If you created it by hand, you have to delete it by hand."""

from collections.abc import Iterable, Mapping
from typing import Any

from components.config.stack import StackConfig
from components.core.names import instance_domain
from components.core.resource_names import RECORD_TYPE, ZONE_TYPE


def left_behind(
    provider_name: str, instance: str, config: StackConfig, resources: Iterable[Mapping[str, Any]]
) -> str | None:
    """Return which NS record the reader has to delete and why, None if the stack manages it or there is none.

    `resources` are those in the instance's state. The embedded cloud has no parent zone.
    """
    entries = list(resources)
    zone = next((entry for entry in entries if entry["type"] == ZONE_TYPE), None)
    if provider_name == "local" or config.aws.parent_zone_id or _delegates(entries, zone):
        return None
    domain = instance_domain(instance, config.domain)
    servers = ", ".join((zone or {}).get("outputs", {}).get("nameServers") or [])
    return (
        f"Delete the NS record {domain} from the zone of {config.domain}. It is not part of the instance, so it stays. "
        f"Anyone who creates a zone {domain} at one of its name servers{f' ({servers})' if servers else ''} controls "
        "all names below it, and can obtain certificates for them."
    )


def _delegates(entries: Iterable[Mapping[str, Any]], zone: Mapping[str, Any] | None) -> bool:
    """Tell whether the state has an NS record in another zone than the instance's own, which has one too."""
    own = (zone or {}).get("id")
    records = [entry["inputs"] for entry in entries if entry["type"] == RECORD_TYPE]
    return any(record.get("type") == "NS" and record.get("zoneId") != own for record in records)
