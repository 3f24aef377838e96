"""`tenants list` and `show`: what a tenant is set to, how it is, and what it holds."""

import datetime
import json
import sys
from typing import Any

import click
from rich.table import Table
from ruamel.yaml import YAML

from components.config import StackConfig
from components.limits import LOGS_LIMIT_NAMES, METRICS_LIMIT_NAMES
from components.names import ALERTMANAGER, ALERTMANAGER_PATH, APIS, PORTS, api_url, instance_domain, namespace
from components.tenant_config import TenantSettings
from scripts import applied, stores
from scripts.apply import Target, target
from scripts.at_once import for_each
from scripts.cluster import Cluster
from scripts.placing import all_settings, applied_anywhere, own_files, settings_of
from scripts.providers import PROVIDER
from scripts.readiness import programs, state_of
from scripts.stackfile import require, round_trip
from scripts.terminal import JSON_ARRAY, JSON_OBJECT, counted, show_table, stdout_json


def age_of(cluster: Cluster, tenant: str) -> datetime.timedelta | None:
    """Return for how long the tenant's namespace has been there."""
    found = cluster.get("v1", "Namespace", namespace(tenant))
    if found is None:
        return None
    created = datetime.datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    return datetime.datetime.now(datetime.UTC) - created


def active_series(cluster: Cluster, tenant: str) -> int | None:
    """Return how many series Cortex holds in memory, each once, however many ingesters have it; None if it does not say."""
    who = {"X-Scope-OrgID": tenant}
    text = cluster.ask(namespace(tenant), "cortex-0", PORTS["cortex"], "/api/v1/user_stats", who)
    return None if text is None else int(json.loads(text)["numSeries"])


def effective_limits(cluster: Cluster, tenant: str) -> dict[str, dict[str, Any] | None]:
    """Return the limits that the back ends have in force, by back end; None where one does not say."""
    who = {"X-Scope-OrgID": tenant}
    place = namespace(tenant)
    logs = cluster.ask(place, "loki-0", PORTS["loki"], "/config/tenant/v1/limits", who)
    base = cluster.ask(place, "cortex-0", PORTS["cortex"], "/config", who)
    over = cluster.ask(place, "cortex-0", PORTS["cortex"], "/runtime_config", who)
    yaml: Any = YAML(typ="safe")
    found: dict[str, dict[str, Any] | None] = {"metrics": None, "logs": yaml.load(logs) if logs else None}
    if base and over:
        own = (yaml.load(over) or {}).get("overrides", {}).get(tenant, {})
        found["metrics"] = yaml.load(base)["limits"] | own
    named = {"metrics": METRICS_LIMIT_NAMES, "logs": LOGS_LIMIT_NAMES}
    return {
        kind: None if limits is None else {name: limits[name] for name in sorted({*named[kind]} & {*limits})}
        for kind, limits in found.items()
    }


def _held(there: applied.Applied | None, found: Target) -> stores.Contents:
    return stores.contents(found.aws, there.buckets.values()) if there else stores.Contents()


def _state(name: str, settings: TenantSettings | None, there: applied.Applied, cluster: Cluster) -> str:
    if settings:
        return state_of(cluster, name, programs(settings))
    return "out of the file, but protected" if there.protect else "to be deleted by the next update"


def facts(
    name: str,
    settings: TenantSettings | None,
    config: StackConfig,
    found: Target,
    there: applied.Applied | None,
    held: stores.Contents,
    *,
    alone: bool,
) -> dict[str, Any]:
    """Return what is known of a tenant, as plain values; sizes in bytes, ages in seconds.

    `settings` is None where it is configured no more, `there` where it is not applied. `held`: what its buckets hold.
    `alone`: whether it has a stack of its own.
    """
    domain, port = instance_domain(found.engine.instance, config.domain), config.load_balancer.port
    known: dict[str, Any] = {
        "name": name,
        **{api: api_url(api, name, domain, port) for api in APIS},
        "state": "not applied",
        "ownStack": alone,
    }
    if settings:
        if settings.alertmanager.enabled:
            known[ALERTMANAGER] = f"{known['cortex']}{ALERTMANAGER_PATH}/"
        known |= {
            "retention": settings.retention.model_dump(),
            "onDelete": settings.on_delete,
            "protect": settings.protect,
            "owner": settings.owner,
        }
    if there:
        age = age_of(found.cluster, name)
        known |= {
            "state": _state(name, settings, there, found.cluster),
            "ageSeconds": None if age is None else int(age.total_seconds()),
            "storedBytes": held.size,
            "activeSeries": active_series(found.cluster, name),
            "buckets": there.buckets,
            "recordedOnDelete": there.on_delete,
        }
    return known


def _in_days(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


@click.command("list", short_help="Show all tenants.")
@PROVIDER
@click.argument("instance")
@JSON_ARRAY
def list_(provider_name: str, instance: str, as_json: bool) -> None:
    """Show the tenants of INSTANCE: state, age, retention, what they hold, and their URLs."""
    config = require(instance).config()
    found = target(instance, config, provider_name)
    there = applied_anywhere(found.where.environment, instance)
    wanted, alone = all_settings(instance, config), own_files(instance)

    names = sorted({*wanted, *there})
    with counted(f"asking the tenants of {instance}", len(names)) as done:

        def facts_of(name: str) -> dict[str, Any]:
            one = there.get(name)
            held = _held(one, found)
            told = facts(name, wanted.get(name), config, found, one, held, alone=name in alone)
            done(1)
            return told

        known = for_each(facts_of, names)
    if as_json:
        stdout_json(known)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("NAME", "STATE", "AGE", "RETENTION", "STORED", "SERIES", "METRICS", "LOGS"):
        table.add_column(column, no_wrap=True)
    for entry in known:
        series, size = entry.get("activeSeries"), entry.get("storedBytes")
        table.add_row(
            entry["name"],
            entry["state"],
            _in_days(entry.get("ageSeconds")),
            "/".join(entry.get("retention", {"-": "-"}).values()),
            "-" if size is None else stores.in_units(size),
            "-" if series is None else f"{series:,}",
            entry["cortex"],
            entry["loki"],
        )
    show_table(table, to_stdout=True)


@click.command(short_help="Show one tenant, with the limits in force.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@JSON_OBJECT
def show(provider_name: str, instance: str, tenant: str, as_json: bool) -> None:
    """Show all settings of TENANT, what it holds, and the limits that its back ends have in force."""
    config = require(instance).config()
    settings = settings_of(instance, config, tenant)
    found = target(instance, config, provider_name)
    there = applied_anywhere(found.where.environment, instance, tenant).get(tenant)
    held = _held(there, found)
    everything = facts(tenant, settings, config, found, there, held, alone=tenant in own_files(instance))
    everything["settings"] = settings.model_dump(by_alias=True, exclude_none=True) | {
        "size": settings.pods().model_dump(by_alias=True)
    }
    if there:
        everything["stored"] = held.plain()
        everything["effectiveLimits"] = effective_limits(found.cluster, tenant)
    if as_json:
        stdout_json(everything)
        return
    round_trip().dump(everything, sys.stdout)
