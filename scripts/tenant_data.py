"""`tenants data`: what stayed when tenants were deleted. Listed, deleted, left to expire, or given back."""

import datetime
from collections.abc import Callable
from typing import Any

import click
from rich.table import Table
from ruamel.yaml.comments import CommentedMap

from components.config import StackConfig
from components.errors import UserError
from components.names import namespace, tenant_name_problem
from components.section import hours
from scripts import adoption, applied, stores
from scripts.apply import Target, target
from scripts.placing import applied_anywhere, own_files
from scripts.preflight import INSTANCE_LABEL
from scripts.providers import PROVIDER
from scripts.stackfile import StackFile, require
from scripts.stores import Store
from scripts.summary import announce, outcome
from scripts.terminal import JSON_ARRAY, JSON_OBJECT, confirm_by_name, counted, note, show_table, stdout_json, step

ID = click.option("--id", "identity", help="Which, where there are several of the tenant; `data list` shows it.")


@click.group(short_help="Manage the data of deleted tenants.")
def data() -> None:
    """Manage retained data: what stayed when a tenant with `onDelete: retain` was deleted."""


def retained(found: Target, tenant: str | None = None) -> list[Store]:
    """Return the data of the instance, or of one tenant, that no tenant of the state owns."""
    instance = found.engine.instance
    there = applied_anywhere(found.where.environment, instance, tenant)
    everything = stores.stores(found.aws, instance, tenant)
    _require_known({store.tenant for store in everything} - {*there}, found)
    owned = {bucket for one in there.values() for bucket in one.buckets.values()}
    return [store for store in everything if not owned & {*store.buckets.values()}]


def _require_known(strangers: set[str], found: Target) -> None:
    """Raise `UserError` where a tenant runs that this backend knows nothing of: its data is not retained, but in use."""
    for tenant in sorted(strangers):
        marks = found.cluster.labels("v1", "Namespace", namespace(tenant)) or {}
        if marks.get(INSTANCE_LABEL) == found.engine.instance:
            raise UserError(
                f"the tenant {tenant} runs in the cluster, but the backend that pulumi is logged in to does not know it: its "
                "data is in use; `pulumi login` to the backend of its stack, or `pulumi up` where that was interrupted"
            )


def chosen(tenant: str, identity: str | None, found: Target) -> Store:
    """Return the one store that is meant; raises `UserError` where there is none, or more than one."""
    if found.engine.state():
        found.engine.settle(found.aws, found.cluster)  # what an update is making, or was killed at, is not retained
    mine = [store for store in retained(found, tenant) if identity in (None, store.id)]
    if len(mine) == 1:
        return mine[0]
    if mine:
        ids = ", ".join(f"{store.id} (of {store.created:%Y-%m-%d})" for store in mine)
        raise UserError(f"there is more than one store of {tenant}: {ids}; name one with --id")
    known = ", ".join(f"{store.tenant} ({store.id})" for store in retained(found)) or "none"
    raise UserError(
        f"no data of {tenant}{f' with the id {identity}' if identity else ''} is retained; there is: {known}"
    )


def _facts(store: Store, found: Target) -> dict[str, Any]:
    held = stores.contents(found.aws, store.buckets.values())
    day = stores.expires_on(found.aws, store.buckets.values())
    return {
        "tenant": store.tenant,
        "id": store.id,
        "created": store.created.isoformat(),
        "lastWritten": held.newest.isoformat() if held.newest else None,
        **held.plain(),
        "expiresOn": day.isoformat() if day else None,
        "buckets": store.buckets,
    }


@data.command("list", short_help="Show what is retained.")
@PROVIDER
@click.argument("instance")
@JSON_ARRAY
def list_(provider_name: str, instance: str, as_json: bool) -> None:
    """Show the data of deleted tenants of INSTANCE, found by its tags, with size and age."""
    found = target(instance, require(instance).config(), provider_name)
    known = [_facts(store, found) for store in retained(found)]
    if as_json:
        stdout_json(known)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("TENANT", "ID", "CREATED", "LAST WRITTEN", "OBJECTS", "STORED", "EXPIRES"):
        table.add_column(column, no_wrap=True)
    for entry in known:
        table.add_row(
            entry["tenant"],
            entry["id"],
            entry["created"][:10],
            (entry["lastWritten"] or "never")[:16],
            f"{entry['objects']:,}",
            stores.in_units(entry["storedBytes"]),
            entry["expiresOn"] or "never",
        )
    show_table(table, to_stdout=True)


@data.command(short_help="Delete retained data for good.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@ID
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OBJECT
def purge(provider_name: str, instance: str, tenant: str, identity: str | None, yes: bool, as_json: bool) -> None:
    """Delete the retained data of TENANT for good. Interrupted, it goes on where it was when it is run again."""
    found = target(instance, require(instance).config(), provider_name)
    store = chosen(tenant, identity, found)
    held = stores.contents(found.aws, store.buckets.values())
    if not yes:
        confirm_by_name(tenant, f"The retained data of {tenant} ({store.id}) will be deleted for good: {held}.")
        store = chosen(tenant, store.id, found)  # somebody may have adopted it meanwhile
    told = _facts(store, found) if as_json else None
    purge_store(store, held, found)
    if told:
        stdout_json(told)


def purge_store(store: Store, held: stores.Contents, found: Target) -> None:
    """Delete a store with progress, and look whether it is gone; raises `UserError` naming what is not."""
    with counted(f"deleting the data of {store.tenant}", held.objects + held.versions) as done:
        _each(store, lambda bucket: stores.purge(found.aws, bucket, done))
    left = [bucket for bucket in store.buckets.values() if stores.is_there(found.aws, bucket, gone=True)]
    if left:
        raise UserError(f"{', '.join(left)} of {store.tenant} is there still, with {stores.contents(found.aws, left)}")
    note(
        f"Nothing is left of the retained data of {store.tenant} ({store.id}): {len(store.buckets)} buckets, {held}, "
        f"{held.versions:,} old versions and {held.uploads:,} unfinished uploads are gone."
    )


def _each(store: Store, act: Callable[[str], None]) -> None:
    for bucket in store.buckets.values():
        act(bucket)


@data.command(short_help="Let retained data expire.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@ID
@click.option("--days", required=True, type=click.IntRange(1, 3650), help="After how many days.")
@JSON_OBJECT
def expire(provider_name: str, instance: str, tenant: str, identity: str | None, days: int, as_json: bool) -> None:
    """Let S3 empty the buckets of TENANT's retained data after some days. `adopt` before then ends that."""
    found = target(instance, require(instance).config(), provider_name)
    store = chosen(tenant, identity, found)
    day = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)
    _each(store, lambda bucket: stores.expire(found.aws, bucket, day))
    note(f"S3 empties the {len(store.buckets)} buckets of {tenant} ({store.id}) on {day} (UTC).")
    if as_json:
        stdout_json(_facts(store, found))


@data.command(short_help="Give retained data back to its tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@ID
@JSON_OBJECT
def adopt(provider_name: str, instance: str, tenant: str, identity: str | None, as_json: bool) -> None:
    """Make TENANT again, with its retained data. Its entry is added to the stack's file if it is not there."""
    problem = tenant_name_problem(tenant)
    if problem:
        raise UserError(problem)
    file = require(instance)
    before = file.config()
    found = target(instance, before, provider_name)
    if tenant in own_files(instance):
        raise UserError(
            f"the tenant {tenant} has a stack of its own; remove it, adopt the data into the instance's stack, then move it"
        )
    store, goes_on = _to_be_adopted(tenant, identity, found)
    adoption.require_whole(store)
    _keep_retention(store, file, before, found)
    plan = announce(file, before, adopted=tenant)(found)
    if goes_on:
        file.write()  # before anything is previewed: without the entry, what is imported would have to go
        found.engine.settle(found.aws, found.cluster)
    if store.adopting or not goes_on:  # else they are the tenant's already, and would keep the mark
        with step(f"taking the buckets of {tenant} ({store.id}) into the state"):
            adoption.adopt(store, found.engine, found.aws)
    file.write()
    found.engine.up(found.aws, found.cluster)
    note(f"The tenant {tenant} is there again, with its data.")
    if as_json:
        stdout_json(outcome(tenant, file, plan=plan))


def _to_be_adopted(tenant: str, identity: str | None, found: Target) -> tuple[Store, bool]:
    """Return the data that is meant, and whether its adoption was begun and interrupted.

    Raises `UserError` where the tenant is there with other data.
    """
    resources = found.engine.resources()
    begun = adoption.begun(tenant, resources, found.aws, found.engine.instance)
    if begun and identity not in (None, begun.id):
        raise UserError(
            f"the data {begun.id} of {tenant} was being given back to it, not {identity}; run this without --id, and it goes on"
        )
    if begun:
        been = "was being given back to it" if begun.adopting else "is its own already"
        note(f"The data of {tenant} ({begun.id}) {been}: what is left to do goes on.")
        return begun, True
    if tenant in applied.tenants(resources):
        raise UserError(
            f"the tenant {tenant} is there, with data of its own; remove it first, then adopt what is to be its data. Where an "
            "update that was to make it failed, `pulumi up` goes on"
        )
    return chosen(tenant, identity, found), False


def _keep_retention(store: Store, file: StackFile, config: StackConfig, found: Target) -> None:
    """Give the tenant's entry the retention that its data had, or raise `UserError` where it has a shorter one.

    A shorter one would delete at once what was kept for so long. Without an entry, one is added.
    """
    day = stores.expires_on(found.aws, store.buckets.values())
    if day and day <= datetime.datetime.now(datetime.UTC).date():
        raise UserError(f"the data of {store.tenant} ({store.id}) expires since {day}: it is not whole any more")
    kept = {
        kind: days
        for kind in ("metrics", "logs")
        if (days := stores.retention_days(found.aws, store.buckets.get(kind, ""))) is not None
    }
    if not any(entry.name == store.tenant for entry in config.tenants):
        if len(kept) < 2:
            raise UserError(
                f"for how long the data of {store.tenant} ({store.id}) was kept is not recorded with it; write an entry of "
                f"the tenant with its retention into {file.path.name} first"
            )
        defaults = config.tenant_defaults.retention.model_dump()
        own = {kind: f"{days}d" for kind, days in kept.items() if hours(defaults[kind]) != 24 * days}
        file.entry("tenants").append(CommentedMap({"name": store.tenant, **({"retention": own} if own else {})}))
        return
    wanted = config.settings_of(store.tenant).retention.model_dump()
    for kind, days in kept.items():
        if hours(wanted[kind]) < 24 * (days - 1):  # whole days are recorded
            raise UserError(
                f"the {kind} of {store.tenant} ({store.id}) were kept for {days}d, but its entry says {wanted[kind]}: what "
                f"is older would be deleted at once; set retention.{kind} in {file.path.name} first"
            )
