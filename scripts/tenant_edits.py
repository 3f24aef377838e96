"""`tenants add`, `set` and `remove`: a tenant is an entry of the stack's file; these edit it and apply it."""

from collections.abc import Sequence
from typing import Any

import click
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from components.config import StackConfig
from components.errors import UserError
from components.names import SYSTEM, tenant_name_problem
from components.tenant_config import OnDelete
from scripts import applied, stores
from scripts.apply import NO_APPLY, Target, finish, target
from scripts.providers import PROVIDER
from scripts.stackfile import StackFile, require
from scripts.summary import summary
from scripts.terminal import note, step

SETTINGS = click.argument("settings", nargs=-1, metavar="[NAME=VALUE]...")


def _entry(file: StackFile, tenant: str) -> Any:
    """Return the tenant's entry in the stack's file itself; raises `UserError` where there is none."""
    entries = file.entry("tenants")
    for entry in entries:
        if entry.get("name") == tenant:
            return entry
    if tenant == SYSTEM:
        raise UserError(
            f"the tenant {SYSTEM} is the instance's own: it is there always, with the settings of tenantDefaults"
        )
    known = ", ".join(str(entry.get("name")) for entry in entries)
    raise UserError(f"there is no tenant {tenant} in {file.path.name}; there are {known}")


def assign(entry: Any, assignment: str) -> None:
    """Give one setting of a tenant's entry a value, as in `retention.metrics=30d`; an empty one takes it away.

    The value is read as YAML. Raises `UserError` where the form is wrong.
    """
    path, equals, text = assignment.partition("=")
    names = path.split(".")
    if not equals or not all(names) or names == ["name"]:
        raise UserError(f"{assignment!r}: a setting is given as NAME=VALUE, such as retention.metrics=30d")
    try:
        value = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise UserError(f"{assignment!r}: the value is no YAML: {error}") from error
    for name in names[:-1]:
        entry = entry.setdefault(name, CommentedMap()) if text else entry.get(name, {})
        if not isinstance(entry, dict):
            raise UserError(f"{assignment!r}: {name} has a value and no parts: {entry!r}; take it away with {name}=")
    if text:
        entry[names[-1]] = value
    else:
        entry.pop(names[-1], None)


def _show_difference(file: StackFile) -> None:
    found = file.difference()
    note(found.rstrip() if found else f"{file.path.name} stays as it is.")


def _announce(file: StackFile, config: StackConfig) -> Any:
    """Return what says, before anything is changed, what becomes of the tenants and their data."""

    def say(found: Target) -> None:
        note(summary(config, file.config(), found))

    return say


@click.command(short_help="Add a tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@SETTINGS
@NO_APPLY
def add(provider_name: str, instance: str, tenant: str, settings: Sequence[str], no_apply: bool) -> None:
    """Add TENANT to INSTANCE, with settings such as retention.metrics=30d, and apply it."""
    problem = tenant_name_problem(tenant)
    if problem:
        raise UserError(problem)
    file = require(instance)
    before = file.config()
    if any(entry.name == tenant for entry in before.tenants):
        raise UserError(f"the tenant {tenant} is there already; `./opstrace tenants set` changes it")
    entry = CommentedMap(name=tenant)
    for assignment in settings:
        assign(entry, assignment)
    file.entry("tenants").append(entry)
    file.config()
    _show_difference(file)
    finish(file, provider_name, no_apply=no_apply, before=_announce(file, before))
    if not no_apply:
        note(f"A token for it: ./opstrace ta-create-token {instance} {tenant} KEYPAIR_FILE")


@click.command("set", short_help="Change a tenant's settings.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@NO_APPLY
def set_(provider_name: str, instance: str, tenant: str, settings: Sequence[str], no_apply: bool) -> None:
    """Change settings of TENANT, such as retention.logs=14d limits.metrics.ingestion_rate=50000, and apply them.

    A setting without a value, such as owner=, is taken away: the default holds again.
    """
    file = require(instance)
    before = file.config()
    entry = _entry(file, tenant)
    for assignment in settings:
        assign(entry, assignment)
    file.config()
    _show_difference(file)
    finish(file, provider_name, no_apply=no_apply, before=_announce(file, before))


@click.command(short_help="Remove a tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.option("--purge", "policy", flag_value="purge", help="Delete its data too, whatever it is set to.")
@click.option("--retain", "policy", flag_value="retain", help="Keep its data, whatever it is set to.")
@click.option("--yes", is_flag=True, help="Do not ask, even where data is deleted.")
@NO_APPLY
def remove(provider_name: str, instance: str, tenant: str, policy: OnDelete | None, yes: bool, no_apply: bool) -> None:
    """Remove TENANT from INSTANCE. Its data stays or goes as its onDelete says, or the option."""
    file = require(instance)
    before = file.config()
    entry = _entry(file, tenant)
    if before.settings_of(tenant).protect:
        raise UserError(
            f"the tenant {tenant} is protected; `./opstrace tenants set {provider_name} {instance} {tenant} "
            "protect=false` takes the protection off first"
        )
    if len(before.tenants) == 1:
        raise UserError(
            f"{tenant} is the last tenant of {instance}, which needs one; add another first, or destroy the instance"
        )
    if no_apply:
        if policy:
            raise UserError("--no-apply only edits: what becomes of the data is what the last update recorded")
        file.entry("tenants").remove(entry)
        _show_difference(file)
        finish(file, provider_name, no_apply=True)
        return
    found = target(instance, before, provider_name)
    wanted = policy or before.settings_of(tenant).on_delete
    there = applied.tenants(found.engine.resources()).get(tenant)
    held = stores.contents(found.aws, there.buckets) if there else stores.Contents()
    if wanted == "purge" and not yes:
        _confirm(tenant, held)
    if there and there.on_delete != wanted:
        _record(file, entry, tenant, wanted, found)
    file.entry("tenants").remove(entry)
    _show_difference(file)
    finish(file, provider_name, no_apply=False, before=_announce(file, before))
    if there:
        _read_back(tenant, wanted, there.buckets, held, found)


def _confirm(tenant: str, held: stores.Contents) -> None:
    note(f"All data of {tenant} will be deleted for good: {held}.")
    if click.prompt("Type the tenant's name to go on", err=True) != tenant:
        raise UserError(f"that was not {tenant}: nothing is changed")


def _record(file: StackFile, entry: Any, tenant: str, wanted: OnDelete, found: Target) -> None:
    """Let the state know what is to become of the data: a deletion does what the last update recorded."""
    note(f"Recording that the data of {tenant} is to be {'deleted' if wanted == 'purge' else 'kept'}:")
    entry["onDelete"] = wanted
    file.config()
    file.write()
    found.engine.up(found.aws, found.cluster)


def _read_back(tenant: str, policy: OnDelete, buckets: Sequence[str], held: stores.Contents, found: Target) -> None:
    """Look whether the data is as it should be; raises `UserError` naming what is not."""
    with step(f"reading back what is left of {tenant}"):
        left = [bucket for bucket in buckets if stores.is_there(found.aws, bucket)]
    if policy == "retain":
        kept = stores.contents(found.aws, left)
        note(f"The data of {tenant} is kept in {len(left)} buckets: {kept}. `./opstrace tenants data` manages it.")
        gone = sorted({*buckets} - {*left})
        if gone:
            raise UserError(f"the data of {tenant} was to be kept, but {', '.join(gone)} is not there any more")
        return
    if left:
        still = stores.contents(found.aws, left)
        raise UserError(
            f"the data of {tenant} was to be deleted, but {', '.join(left)} is there still, with {still}, "
            f"{still.versions:,} old versions and {still.uploads:,} unfinished uploads; "
            "`./opstrace tenants data purge` deletes it"
        )
    note(
        f"Nothing is left of the data of {tenant}: {len(buckets)} buckets, {held}, {held.versions:,} old versions and "
        f"{held.uploads:,} unfinished uploads are gone."
    )
