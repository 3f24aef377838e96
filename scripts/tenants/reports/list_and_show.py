"""The reports of `tenants list` and `tenants show`: settings, state, contents and limits of tenants, as plain values."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from components.config.backend_limits import LOGS_LIMIT_NAMES, METRICS_LIMIT_NAMES
from components.core.names import ALERTMANAGER, ALERTMANAGER_PATH, APIS, SYSTEM, api_url, instance_domain, namespace
from scripts.clients.back_ends import ask_back_end
from scripts.clients.concurrent import map_concurrently
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.locate import all_settings, deployed_tenants, settings_of
from scripts.tenants.readiness import READY, programs, reasons_of, state_of
from scripts.tenants.reports.newest_data import newest_data
from scripts.tenants.reports.overview import NOT_APPLIED, PROTECTED, TO_BE_DELETED
from scripts.tenants.retained_data import buckets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from components.config.stack import StackConfig
    from components.config.tenant import TenantSettings
    from scripts.clients.kubernetes import Cluster
    from scripts.context.context import Context, Target
    from scripts.tenants.recorded_state import Applied


@dataclass(frozen=True)
class Tenant:
    """A tenant as the files and the state have it.

    Attributes:
        name: Its name.
        settings: Its settings; None where no file has the tenant.
        deployed: What the state has of it; None where it is not applied.
        own_stack: Whether it has a stack of its own.
        contents: What its buckets hold.
    """

    name: str
    settings: TenantSettings | None
    deployed: Applied | None
    own_stack: bool
    contents: buckets.Contents = field(default_factory=buckets.Contents)


def list_tenants(context: Context, provider_name: str, instance: str) -> list[dict[str, Any]]:
    """Return the facts of all tenants of an instance, by name."""
    file = context.require_file(instance)
    config = file.config()
    target = context.target(provider_name, instance, config)
    deployed = deployed_tenants(context, target.provider, instance)
    settings, own_stacks = all_settings(context, file, config), own_stack_tenants(context.stacks, instance)
    names = sorted({*settings, *deployed})
    with context.terminal.counted(f"asking the tenants of {instance}", len(names)) as done:

        def report(name: str) -> dict[str, Any]:
            one = deployed.get(name)
            tenant = Tenant(name, settings.get(name), one, name in own_stacks, _contents(one, target))
            answer = facts(tenant, config, target)
            done(1)
            return answer

        return map_concurrently(report, names)


def show_tenant(context: Context, provider_name: str, instance: str, name: str) -> dict[str, Any]:
    """Return the facts of one tenant, with all its settings and the limits in force."""
    config = context.require_file(instance).config()
    settings = settings_of(context, instance, config, name)
    target = context.target(provider_name, instance, config)
    deployed = deployed_tenants(context, target.provider, instance, name).get(name)
    own_stack = name in own_stack_tenants(context.stacks, instance)
    tenant = Tenant(name, settings, deployed, own_stack, _contents(deployed, target))
    report = facts(tenant, config, target)
    report["settings"] = settings.model_dump(by_alias=True, exclude_none=True) | {
        "size": settings.pods().model_dump(by_alias=True)
    }
    if deployed:
        report["stored"] = tenant.contents.plain()
        report["effectiveLimits"] = effective_limits(target.cluster, name)
    return report


def _contents(deployed: Applied | None, target: Target) -> buckets.Contents:
    return buckets.contents(target.aws, deployed.buckets.values()) if deployed else buckets.Contents()


def facts(tenant: Tenant, config: StackConfig, target: Target) -> dict[str, Any]:
    """Return the facts of a tenant as plain values; sizes in bytes, ages in seconds."""
    domain, port = instance_domain(target.engine.instance, config.domain), config.load_balancer.port
    report: dict[str, Any] = {
        "name": tenant.name,
        **{api: api_url(api, tenant.name, domain, port) for api in APIS},
        "state": NOT_APPLIED,
        "ownStack": tenant.own_stack,
    }
    if settings := tenant.settings:
        if settings.alertmanager.enabled:
            report[ALERTMANAGER] = f"{report['cortex']}{ALERTMANAGER_PATH}/"
        report |= {
            "retention": settings.retention.model_dump(),
            "onDelete": settings.on_delete,
            "protect": settings.protect,
            "owner": settings.owner,
        }
    if deployed := tenant.deployed:
        age = age_of(target.cluster, tenant.name)
        report |= {
            "state": state_in_words(tenant, deployed, target.cluster),
            "ageSeconds": None if age is None else int(age.total_seconds()),
            "storedBytes": tenant.contents.size,
            "activeSeries": active_series(target.cluster, tenant.name),
            "buckets": deployed.buckets,
            "recordedOnDelete": deployed.on_delete,
        }
        if tenant.name == SYSTEM:
            report["newestData"] = newest_data(target.cluster, config.collectors)
        if tenant.settings and report["state"] != READY:
            report["reasons"] = reasons_of(target.cluster, tenant.name, programs(tenant.settings))
    return report


def state_in_words(tenant: Tenant, deployed: Applied, cluster: Cluster) -> str:
    """Return whether a deployed tenant is ready, or the effect of the next update on one that no file has."""
    if tenant.settings:
        return state_of(cluster, tenant.name, programs(tenant.settings))
    return PROTECTED if deployed.protect else TO_BE_DELETED


def age_of(cluster: Cluster, tenant: str) -> datetime.timedelta | None:
    """Return the age of the tenant's namespace, None where there is no namespace."""
    resource = cluster.get("v1", "Namespace", namespace(tenant))
    if resource is None:
        return None
    created = datetime.datetime.fromisoformat(resource["metadata"]["creationTimestamp"])
    return datetime.datetime.now(datetime.UTC) - created


def active_series(cluster: Cluster, tenant: str) -> int | None:
    """Return the number of series that Cortex has in memory, replicas counted once; None where it does not answer."""
    text = ask_back_end(cluster, tenant, "cortex", "/api/v1/user_stats")
    return None if text is None else int(json.loads(text)["numSeries"])


def base_limits(cluster: Cluster, tenant: str) -> dict[str, Any] | None:
    """Return the limits that the tenant's Cortex started with; None where it does not answer."""
    text = ask_back_end(cluster, tenant, "cortex", "/config")
    return YAML(typ="safe").load(text)["limits"] if text else None


def effective_limits(
    cluster: Cluster, tenant: str, base_of: Callable[[Cluster, str], Mapping[str, Any] | None] = base_limits
) -> dict[str, dict[str, Any] | None]:
    """Return the limits that the back ends have in force, by kind of data; None where a back end does not answer.

    `base_of` returns what `base_limits` does.
    """
    logs = ask_back_end(cluster, tenant, "loki", "/config/tenant/v1/limits")
    base = base_of(cluster, tenant)
    runtime = ask_back_end(cluster, tenant, "cortex", "/runtime_config")
    yaml: Any = YAML(typ="safe")
    by_kind: dict[str, dict[str, Any] | None] = {"metrics": None, "logs": yaml.load(logs) if logs else None}
    if base and runtime:
        overrides = (yaml.load(runtime) or {}).get("overrides", {}).get(tenant, {})
        by_kind["metrics"] = {**base, **overrides}
    names = {"metrics": METRICS_LIMIT_NAMES, "logs": LOGS_LIMIT_NAMES}
    return {
        kind: None if limits is None else {name: limits[name] for name in sorted({*names[kind]} & {*limits})}
        for kind, limits in by_kind.items()
    }
