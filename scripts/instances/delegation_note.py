"""Telling which NS record is missing, while the first update waits for its certificates."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from scripts.ui.terminal import note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from components.config.stack import StackConfig
    from scripts.clients.aws import Clients


@contextmanager
def told_of_delegation(config: StackConfig, domain: str, aws: Clients, seconds: float) -> Iterator[None]:
    """Print the NS record that is to be created, once the zone of `domain` exists while the block runs.

    Nothing is printed where the update creates the record. `seconds` is the time between two looks for the zone.
    """
    if config.aws.parent_zone_id:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(seconds):
            if servers := _name_servers(aws, domain):
                note(
                    f"  … certificates wait for the delegation: add the NS record {domain} to the zone of {config.domain}, "
                    f"unless it is there, with {', '.join(servers)}"
                )
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _name_servers(aws: Clients, domain: str) -> list[str]:
    """Return the name servers of the zone of a domain; none where there is none yet, or where AWS does not tell."""
    try:
        zones = aws["route53"].list_hosted_zones_by_name(DNSName=domain)["HostedZones"]
        own = [zone["Id"] for zone in zones if zone["Name"].rstrip(".") == domain]
        return list(aws["route53"].get_hosted_zone(Id=own[0])["DelegationSet"]["NameServers"]) if own else []
    except (BotoCoreError, ClientError):
        return []
