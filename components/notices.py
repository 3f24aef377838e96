"""What a preview and an update say beyond the engine's own diff: what a change does to the tenant's data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.headline import Fate, done_to_tenants, fate, fate_of, headline, with_fates
from components.retention import retention_hours
from components.tenant_config import TenantSettings

# Of an URN, what follows the stack and the project; the instance's own tenant stands below the instance.
TENANT_URN = "opstrace:tenant:Tenant::"
BUCKET_URN = re.compile(r"opstrace:tenant:Tenant\$aws:s3/bucket:Bucket::tenant-([a-z0-9]+)-\w+-bucket")


@dataclass
class Recorded:
    """What the engine's state has of a tenant. `settings` as `exported`, None where no update has made all of it."""

    settings: Mapping[str, Any] | None
    purges: list[bool] = field(default_factory=list)  # of each bucket

    @property
    def fate(self) -> Fate:
        """What becomes of the data when the tenant goes."""
        return fate_of(["purge" if purges else "retain" for purges in self.purges])


def tenants_that_change(now: Mapping[str, TenantSettings]) -> None:
    """Say in preview what an update does with the user tenants of this stack, and with the data of those that go.

    Compared is with the state, by which the engine deletes. That data goes is a warning.
    """
    if not pulumi.runtime.is_dry_run():
        return
    try:
        before = _recorded(_state())
    except Exception as error:  # it is a notice: what hinders it must not hinder the update
        pulumi.log.debug(f"what this update does with tenants cannot be said: {error}")
        return
    does = done_to_tenants(now, {name: tenant.settings for name, tenant in before.items()})
    gone = {name: before[name] for name in does["delete"]}
    line = headline(**does)
    fates = {name: fate(tenant.fate, len(tenant.purges)) for name, tenant in gone.items()}
    if line:
        loses = any(tenant.fate != "retain" for tenant in gone.values())
        (pulumi.log.warn if loses else pulumi.log.info)(with_fates(line, fates))


def _state() -> Mapping[str, Any]:
    """Return type and outputs of all that this stack's state has, by URN, asked of the engine itself.

    Source: pulumi/pkg/resource/deploy/builtins.go, 3.255; it leaves nothing in the state. The second function does not
    bear a stack that was never updated, of which the first says that it has no outputs.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    outputs = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": stack}).value
    if not (outputs or {}).get("outputs"):
        return {}
    return dict(pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": stack}).value["outputs"])


def _recorded(state: Mapping[str, Any]) -> dict[str, Recorded]:
    found = {
        urn.removeprefix(f"{TENANT_URN}tenant-"): Recorded((entry["outputs"] or {}).get("settings"))
        for full, entry in state.items()
        if (urn := full.split("::", 2)[-1]).startswith(TENANT_URN)
    }
    for full, entry in state.items():
        bucket = BUCKET_URN.fullmatch(full.split("::", 2)[-1])
        if bucket and bucket[1] in found:
            found[bucket[1]].purges.append(bool(entry["outputs"].get("forceDestroy")))
    return found


def open_to_everybody(domain: str) -> None:
    """Warn, in preview too, of an instance whose gateway asks for no token."""
    pulumi.log.warn(
        f"dataApi.authentication is false: whoever reaches the load balancer of {domain} reads and writes the data of "
        "every tenant"
    )


def reaches_every_pod(tenant: str) -> None:
    """Warn, in preview too, of an Alertmanager that no network policy holds."""
    pulumi.log.warn(
        f"tenant {tenant}: whoever writes the configuration of its Alertmanager reaches every pod of the cluster, for that "
        "does not enforce network policies"
    )


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
