"""Notices of previews and updates beyond the engine's own diff: the effects of a change on the tenants' data."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.config.base import endpoint_host
from components.config.platform.aws import AwsConfig
from components.config.stack import ClusterConfig
from components.config.tenant import TenantSettings
from components.core.recorded_retention import retention_hours
from components.core.resource_names import (
    BUCKET_TYPE,
    TENANT_TYPE,
    child_type,
    logical_name,
    qualified_type,
    tenant_of,
    tenant_of_bucket,
)
from components.shared.recorded_outputs import RecordedResource, recorded_resources
from components.tenant.change_summary import Fate, done_to_tenants, fate, fate_of, headline, with_fates

TAKEN = "the host at that address may get the data of every tenant and the permission to read it"
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS")


@dataclass
class Recorded:
    """A tenant in the engine's state.

    Attributes:
        settings: as `exported` returns them; None if no update has finished the tenant.
        purges: for each bucket, whether its deletion deletes its objects too.
    """

    settings: Mapping[str, Any] | None
    purges: list[bool] = field(default_factory=list)

    @property
    def fate(self) -> Fate:
        """What the deletion of the tenant does to its data."""
        return fate_of(["purge" if purges else "retain" for purges in self.purges])


def tenants_that_change(settings: Mapping[str, TenantSettings]) -> None:
    """Report in a preview which user tenants an update changes, and what happens to the data of those it deletes.

    The comparison is with the state, because the engine deletes by the state. A loss of data is a warning. If the
    comparison fails, that is a warning too, and the preview goes on.
    """
    if not pulumi.runtime.is_dry_run():
        return
    try:
        text, loses_data = _tenant_notice(settings, _recorded(recorded_resources()))
    except Exception as error:  # an error in a notice must not stop an update
        pulumi.log.warn(
            "this preview cannot tell which tenants the update deletes and whether it deletes their data: "
            f"{type(error).__name__}: {error}. Before you apply, check the list of resources for buckets to delete"
        )
        return
    if text:
        (pulumi.log.warn if loses_data else pulumi.log.info)(text)


def _tenant_notice(settings: Mapping[str, TenantSettings], recorded: Mapping[str, Recorded]) -> tuple[str, bool]:
    """Return the notice, empty if no tenant changes, and whether the update deletes data."""
    changes = done_to_tenants(settings, {name: tenant.settings for name, tenant in recorded.items()})
    deleted = {name: recorded[name] for name in changes["delete"]}
    line = headline(**changes)
    if not line:
        return "", False
    fates = {name: fate(tenant.fate, len(tenant.purges)) for name, tenant in deleted.items()}
    return with_fates(line, fates), any(tenant.fate != "retain" for tenant in deleted.values())


def _recorded(state: Mapping[str, RecordedResource]) -> dict[str, Recorded]:
    """Return the user tenants of a state, by name."""
    tenants = {
        tenant_of(logical_name(urn)): Recorded(entry.outputs.get("settings"))
        for urn, entry in state.items()
        if qualified_type(urn) == TENANT_TYPE  # the system tenant is a child of the instance
    }
    for urn, entry in state.items():
        owned = qualified_type(urn) == child_type(TENANT_TYPE, BUCKET_TYPE)
        tenant = tenant_of_bucket(logical_name(urn)) if owned else None
        if tenant in tenants:
            tenants[tenant].purges.append(bool(entry.outputs.get("forceDestroy")))
    return tenants


def open_to_everybody(domain: str) -> None:
    """Warn of an instance whose gateway requires no token."""
    pulumi.log.warn(
        f"dataApi.authentication is false: everyone who reaches the load balancer of {domain} reads and writes the data "
        "of every tenant. Set it to true, or keep dataApi.allowedCidrs narrow"
    )


def warn_of_other_endpoints(account: AwsConfig, cluster: ClusterConfig) -> None:
    """Warn of each host that settings put in the place of AWS.

    Such a host may be an interface endpoint of a VPC, or the embedded cloud. A host on this machine needs no warning,
    nor does one that the caller's environment names as AWS, as the embedded cloud's environment does.
    """
    expected = {endpoint_host(os.environ.get(name, "")) for name in ENDPOINT_VARIABLES}
    services: dict[str, list[str]] = {}
    for service, url in account.endpoints.items():
        services.setdefault(endpoint_host(url) or url, []).append(service)
    for host in sorted({*services} - expected):
        if not _is_this_machine(host):
            pulumi.log.warn(
                f"aws.endpoints sends calls of {', '.join(sorted(services[host]))} to {host} in place of AWS: {TAKEN}"
            )
    for alias in cluster.host_aliases:
        if alias.ip not in expected and not _is_this_machine(alias.ip):
            pulumi.log.warn(
                f"cluster.hostAliases lets the back ends' pods find {', '.join(alias.hostnames)} at {alias.ip}: {TAKEN}"
            )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # not every resolver keeps the names below it on this machine


def warn_of_open_pods(cluster: ClusterConfig) -> None:
    """Warn of a cluster that does not enforce network policies."""
    if cluster.enforces_network_policies is False:
        pulumi.log.warn(
            "cluster.enforcesNetworkPolicies is false: any pod of the cluster can read and write the data of every tenant "
            "without a token, past the gateway. Enforce network policies, or run no other pods in this cluster"
        )


def reaches_every_pod(tenant: str) -> None:
    """Warn of an Alertmanager in a cluster that does not enforce network policies."""
    pulumi.log.warn(
        f"tenant {tenant}: everyone who writes the configuration of its Alertmanager reaches every pod of the cluster, "
        "because the cluster does not enforce network policies"
    )


def shrinking_retention(name: str, tenant: str, kind: str) -> pulumi.ResourceOptions:
    """Return options for a back end's ConfigMap that warn of a shorter retention, in previews and updates."""

    def warn(args: pulumi.ResourceHookArgs) -> None:
        old, new = retention_hours(args.old_inputs, tenant), retention_hours(args.new_inputs, tenant)
        if old is not None and new is not None and new < old:
            pulumi.log.warn(
                f"tenant {tenant}: the retention of its {kind} shrinks from {old}h to {new}h: older data will be "
                "deleted for good"
            )

    hook = pulumi.ResourceHook(f"{name}-retention", warn, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_update=[hook]))
