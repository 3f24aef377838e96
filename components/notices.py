"""What a preview and an update say beyond the engine's own diff: what a change does to the tenant's data."""

from collections.abc import Mapping
from typing import Any

import pulumi


def expiry_days(inputs: Mapping[str, Any] | None) -> int | None:
    """Return after how many days a bucket's lifecycle rule removes objects; None where there is none."""
    rules = (inputs or {}).get("rules") or [{}]
    days = (rules[0].get("expiration") or {}).get("days")
    return None if days is None else int(days)


def shrinking_retention(name: str, tenant: str, kind: str) -> pulumi.ResourceOptions:
    """Return options for a bucket's lifecycle rule with which a shorter retention is warned of, in preview too."""

    def warn(args: pulumi.ResourceHookArgs) -> None:
        old, new = expiry_days(args.old_inputs), expiry_days(args.new_inputs)
        if old is not None and new is not None and new < old:
            pulumi.log.warn(
                f"tenant {tenant}: the retention of its {kind} is {old - new} days shorter than before: what is "
                "older than it allows will be deleted for good"
            )

    hook = pulumi.ResourceHook(f"{name}-{kind}-retention", warn, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[hook]))
