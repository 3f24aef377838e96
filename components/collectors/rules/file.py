"""The file with all rules of the platform."""

import json
from collections.abc import Mapping

from components.collectors.rules import gateway, keys, nodes, storage, tenants, watching
from components.collectors.rules.rule import Group

RUNBOOKS = "docs/how-to/runbooks.md"  # of the checkout


def groups(
    key_ends: Mapping[str, int], stands_still: int = storage.STANDS_STILL, old: int = watching.OLD
) -> list[Group]:
    """Return all groups.

    Args:
        key_ends: The time of the end of each limited key, in seconds since the epoch, by key id.
        stands_still: The seconds without a success after which a compactor stands still.
        old: The seconds after which a line in a collector's queue is old.
    """
    return [
        gateway.GROUP,
        tenants.GROUP,
        storage.group(stands_still),
        nodes.GROUP,
        keys.group(key_ends),
        watching.group(old),
    ]


def rule_file(key_ends: Mapping[str, int], runbooks: str = RUNBOOKS) -> str:
    """Return the rule file as JSON, which is YAML too.

    Args:
        key_ends: The time of the end of each limited key, in seconds since the epoch, by key id.
        runbooks: The address of the page with the runbooks.
    """
    return json.dumps({"groups": [group.as_group(runbooks) for group in groups(key_ends)]}, indent=1)
