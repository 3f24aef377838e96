"""What a preview and an update say beyond the engine's own diff: what a change does to the tenant's data."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi

RUNTIME_KEY = "runtime.yaml"


def open_to_everybody(domain: str) -> None:
    """Warn, in preview too, of an instance whose gateway asks for no token."""
    pulumi.log.warn(
        f"dataApi.authentication is false: whoever reaches the load balancer of {domain} reads and writes the data of "
        "every tenant"
    )


def retention_hours(inputs: Mapping[str, Any] | None, tenant: str) -> int | None:
    """Return the retention that a back end's ConfigMap gives a tenant, None where it says none."""
    text = ((inputs or {}).get("data") or {}).get(RUNTIME_KEY)
    overrides = json.loads(text).get("overrides", {}).get(tenant, {}) if text else {}
    for name, value in overrides.items():
        found = re.fullmatch(r"(\d+)h", str(value)) if name.endswith("retention_period") else None
        if found:
            return int(found[1])
    return None


def shrinking_retention(name: str, tenant: str, kind: str) -> pulumi.ResourceOptions:
    """Return options for a back end's ConfigMap with which a shorter retention is warned of, in preview too."""

    def warn(args: pulumi.ResourceHookArgs) -> None:
        old, new = retention_hours(args.old_inputs, tenant), retention_hours(args.new_inputs, tenant)
        if old is not None and new is not None and new < old:
            pulumi.log.warn(
                f"tenant {tenant}: the retention of its {kind} shrinks from {old}h to {new}h: what is older will be "
                "deleted for good"
            )

    hook = pulumi.ResourceHook(f"{name}-retention", warn, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[hook]))
