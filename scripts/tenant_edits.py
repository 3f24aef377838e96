"""`tenants add`, `set` and `remove`: a tenant is an entry of the stack's file; these edit it and apply it."""

from collections.abc import Callable, Sequence
from typing import Any

import click
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from components.config import StackConfig
from components.errors import UserError
from components.headline import Fate
from components.names import APIS, tenant_name_problem
from components.tenant_config import OnDelete
from scripts import applied, stores
from scripts.apply import NO_APPLY, Target, finish, target
from scripts.placing import Place, all_settings, find, own_file, place, settings_in
from scripts.providers import PROVIDER
from scripts.stackfile import StackFile, require
from scripts.summary import Settings, require_no_other_purge, summary
from scripts.tenant_views import state_of
from scripts.terminal import confirm_by_name, note, step

SETTINGS = click.argument("settings", nargs=-1, metavar="[NAME=VALUE]...")


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


def _announce(
    file: StackFile, before: Settings, config: StackConfig, subject: str | None = None
) -> Callable[[Target], None]:
    """Return what says, before anything is changed, what becomes of the tenants and their data."""

    def say(found: Target) -> None:
        after, there = settings_in(file, config), applied.user_tenants(found.engine.state())
        require_no_other_purge(after, there, subject)
        note(summary(before, after, there, found.aws))

    return say


def _assigned(entry: Any, settings: Sequence[str]) -> None:
    for assignment in settings:
        assign(entry, assignment)


@click.command(short_help="Add a tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@SETTINGS
@click.option("--own-stack", is_flag=True, help="In a stack of its own, INSTANCE.TENANT, not in the instance's.")
@NO_APPLY
def add(
    provider_name: str, instance: str, tenant: str, settings: Sequence[str], own_stack: bool, no_apply: bool
) -> None:
    """Add TENANT to INSTANCE, with settings such as retention.metrics=30d, and apply it."""
    problem = tenant_name_problem(tenant)
    if problem:
        raise UserError(problem)
    file = require(instance)
    config = file.config()
    if tenant in all_settings(instance, config):
        raise UserError(
            f"the tenant {tenant} is there already; `./opstrace tenants set` changes it, and where an update that was to make "
            "it failed, `pulumi up` goes on"
        )
    before: Settings = {} if own_stack else settings_in(file, config)
    if own_stack:
        file = own_file(instance, tenant)
        file.set("tenantOf", instance)
        _assigned(file.part("tenant"), settings)
    else:
        entry = CommentedMap(name=tenant)
        _assigned(entry, settings)
        file.entry("tenants").append(entry)
    file.check()
    _show_difference(file)
    say = _announce(file, before, config)

    def announce(found: Target) -> None:
        say(found)
        kept = [store.id for store in stores.stores(found.aws, instance) if store.tenant == tenant]
        if kept:
            note(
                f"Data of an earlier tenant {tenant} is retained ({', '.join(kept)}); this one does not see it. "
                "`./opstrace tenants data adopt`, in place of this, makes the tenant with it."
            )

    finish(file, provider_name, no_apply=no_apply, before=announce)
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
    config = require(instance).config()
    there = place(instance, tenant)
    before = settings_in(there.file, config)
    _assigned(there.entry, settings)
    there.file.check()
    _show_difference(there.file)
    finish(there.file, provider_name, no_apply=no_apply, before=_announce(there.file, before, config))


@click.command(short_help="Remove a tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.option("--purge", "policy", flag_value="purge", help="Delete its data too, whatever it is set to.")
@click.option("--retain", "policy", flag_value="retain", help="Keep its data, whatever it is set to.")
@click.option("--yes", is_flag=True, help="Do not ask, even where data is deleted.")
@click.option("--force", is_flag=True, help="Remove it even if its pods are not ready to write what they hold.")
@NO_APPLY
def remove(
    provider_name: str,
    instance: str,
    tenant: str,
    policy: OnDelete | None,
    yes: bool,
    force: bool,
    no_apply: bool,
) -> None:
    """Remove TENANT from INSTANCE. Its data stays or goes as its onDelete says, or the option.

    A removal that failed or was killed goes on when it is run again.
    """
    config = require(instance).config()
    if (
        not no_apply
        and find(instance, tenant) is None
        and _went_on(instance, tenant, config, provider_name, policy, yes)
    ):
        return
    where = place(instance, tenant)
    _require_removable(where, config, tenant, provider_name)
    if no_apply:
        if policy or where.alone:
            raise UserError(
                "--no-apply only edits an entry of the instance's file; what becomes of data is what the last update "
                "recorded, and a stack of its own is removed with the tenant"
            )
        where.file.entry("tenants").remove(where.entry)
        _show_difference(where.file)
        finish(where.file, provider_name, no_apply=True)
        return
    found = target(instance, config, provider_name, where.file.instance)
    wanted = policy or settings_in(where.file, config)[tenant].on_delete
    there = applied.tenants(found.engine.state()).get(tenant)
    if there and wanted == "retain" and not force:
        _require_ready(tenant, found)
    held = stores.contents(found.aws, there.buckets.values()) if there else stores.Contents()
    if wanted == "purge" and not yes:
        confirm_by_name(tenant, f"All data of {tenant} will be deleted for good: {held}.")
    # Read anew: somebody may have updated while the name was typed.
    require_no_other_purge(settings_in(where.file, config), applied.user_tenants(found.engine.state()), tenant)
    if there and (there.on_delete != wanted or there.protect):
        _record(where, tenant, wanted, found)
    _take_away(where, config, found, provider_name)
    if there:
        _read_back(tenant, wanted, [*there.buckets.values()], held, found)


def _went_on(
    instance: str, tenant: str, config: StackConfig, provider_name: str, policy: OnDelete | None, yes: bool
) -> bool:
    """Finish a removal whose update did not, after its entry was taken away; return False where there is none."""
    found = target(instance, config, provider_name)
    there = applied.user_tenants(found.engine.state()).get(tenant)
    if there is None:
        return False
    if policy and there.policies - {policy}:
        raise UserError(
            f"an earlier removal of {tenant} has recorded that its data is to be {_fate(there.on_delete)}, and parts of it may "
            f"be; `./opstrace tenants remove {provider_name} {instance} {tenant}` goes on with that"
        )
    note(f"{tenant} was taken out of the file before, and is not gone yet: that removal goes on.")
    recorded: OnDelete = "retain" if there.policies == {"retain"} else "purge"
    held = stores.contents(found.aws, there.buckets.values())
    if recorded == "purge" and there.buckets and not yes:
        confirm_by_name(tenant, f"All data of {tenant} will be deleted for good: {held}.")
    finish(
        (file := require(instance)),
        provider_name,
        no_apply=False,
        before=_announce(file, settings_in(file, config), config, tenant),
    )
    _read_back(tenant, recorded, [*there.buckets.values()], held, found)
    return True


def _fate(policy: Fate) -> str:
    return {"purge": "deleted", "retain": "kept", "mixed": "deleted in part"}[policy]


def _require_removable(where: Place, config: StackConfig, tenant: str, provider_name: str) -> None:
    instance = where.file.owner
    if settings_in(where.file, config)[tenant].protect:
        raise UserError(
            f"the tenant {tenant} is protected; `./opstrace tenants set {provider_name} {instance} {tenant} "
            "protect=false` takes the protection off first"
        )
    if not where.alone and len(config.tenants) == 1:
        raise UserError(
            f"{tenant} is the last tenant of {instance}, which needs one; add another first, or destroy the instance"
        )


def _require_ready(tenant: str, found: Target) -> None:
    """Raise `UserError` where a pod does not run: what it holds is on its volume alone, and goes with that."""
    state = state_of(found.cluster, tenant, APIS)
    if state != "ready":
        raise UserError(
            f"the tenant {tenant} is not ready ({state}): what its pods hold may not have reached its buckets, and would be "
            "lost with their volumes; mend that first, or remove it with --force"
        )


def _take_away(where: Place, config: StackConfig, found: Target, provider_name: str) -> None:
    """Delete the tenant: by an update of the instance's stack without it, or with its own stack."""
    if where.alone:
        there = applied.user_tenants(found.engine.state())
        note(summary(settings_in(where.file, config), {}, there, found.aws))
        if found.engine.instance in found.engine.stacks():
            found.engine.destroy(found.aws, found.cluster)
        where.file.remove()
        return
    before, gone = settings_in(where.file, config), str(where.entry["name"])
    where.file.entry("tenants").remove(where.entry)
    _show_difference(where.file)
    finish(where.file, provider_name, no_apply=False, before=_announce(where.file, before, config, gone))


def _record(where: Place, tenant: str, wanted: OnDelete, found: Target) -> None:
    """Let the state know what is to become of the data: a deletion does what the last update recorded."""
    note(f"Recording that the data of {tenant} is to be {_fate(wanted)}:")
    where.entry["onDelete"] = wanted
    where.file.check()
    where.file.write()
    found.engine.up(found.aws, found.cluster)


def _read_back(tenant: str, policy: OnDelete, buckets: Sequence[str], held: stores.Contents, found: Target) -> None:
    """Look whether the data is as it should be; raises `UserError` naming what is not."""
    with step(f"reading back what is left of {tenant}"):
        left = [bucket for bucket in buckets if stores.is_there(found.aws, bucket, gone=policy == "purge")]
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
        f"Nothing is left of the data of {tenant}: {len(buckets)} buckets are gone, with all that they held; before its pods "
        f"wrote their last that was {held}, {held.versions:,} old versions and {held.uploads:,} unfinished uploads."
    )
