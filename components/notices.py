"""What a preview and an update say beyond the engine's own diff: what a change does to the tenant's data."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi

from components.headline import headline
from components.names import SYSTEM
from components.tenant_config import TenantSettings, exported

RUNTIME_KEY = "runtime.yaml"


def tenants_that_change(now: Mapping[str, TenantSettings]) -> None:
    """Say in preview what an update does with the user tenants of this stack, and with the data of those that go.

    Compared is with what the last update that succeeded has exported. That a purge comes is a warning.
    """
    if not pulumi.runtime.is_dry_run():
        return
    before = _last_exported()
    gone = {name: facts for name, facts in before.items() if name not in now}
    changed = [
        name for name, settings in now.items() if name in before and before[name]["settings"] != exported(settings)
    ]
    said = [headline(add={*now} - {*before}, change=changed, delete=gone)]
    purged = [name for name, facts in sorted(gone.items()) if facts["settings"]["onDelete"] == "purge"]
    for name in sorted(gone):
        fate = "purged" if name in purged else "kept"
        said.append(f"  {name}: its data will be {fate}: {len(gone[name]['buckets'])} buckets")
    if said[0]:
        (pulumi.log.warn if purged else pulumi.log.info)("\n".join(said))


def _last_exported() -> dict[str, Any]:
    """Return the outputs of the user tenants as this stack's last update left them.

    The engine's own function, which stack references use; it leaves nothing in the state.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    found = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": stack}).value
    tenants = (found or {}).get("outputs", {}).get("tenants", {})
    return {name: facts for name, facts in tenants.items() if name != SYSTEM and "settings" in facts}


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
