"""`tenants add` and `set`: a tenant is an entry of the stack's file; these edit it and apply it."""

from collections.abc import Sequence
from typing import Any

import click
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from components.errors import UserError
from components.names import SYSTEM, tenant_name_problem
from scripts.apply import NO_APPLY, Target, finish, show_difference
from scripts.placing import own_file, own_files, place, settings_in
from scripts.providers import PROVIDER
from scripts.stackfile import require
from scripts.summary import Plan, announce, outcome
from scripts.terminal import JSON_OBJECT, note, stdout_json

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
@JSON_OBJECT
def add(
    provider_name: str,
    instance: str,
    tenant: str,
    settings: Sequence[str],
    own_stack: bool,
    no_apply: bool,
    as_json: bool,
) -> None:
    """Add TENANT to INSTANCE, with settings such as retention.metrics=30d, and apply it."""
    problem = tenant_name_problem(tenant)
    if problem:
        raise UserError(problem)
    file = require(instance)
    config = file.config()
    if tenant in (SYSTEM, *settings_in(file, config), *own_files(instance)):
        raise UserError(
            f"the tenant {tenant} is there already; `./opstrace tenants set` changes it, and where an update that was to make "
            "it failed, `pulumi up` goes on"
        )
    if own_stack:
        file = own_file(instance, tenant)
        file.set("tenantOf", instance)
        _assigned(file.part("tenant"), settings)
    else:
        entry = CommentedMap(name=tenant)
        _assigned(entry, settings)
        file.entry("tenants").append(entry)
    file.check()
    show_difference(file)
    plan = finish(file, provider_name, no_apply=no_apply, before=announce(file, config, added=tenant))
    if as_json:
        stdout_json(outcome(tenant, file, plan=plan))
    if not no_apply:
        note(f"A token for it: ./opstrace ta-create-token {instance} {tenant} KEYPAIR_FILE")


@click.command("set", short_help="Change a tenant's settings.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@click.option("--yes", is_flag=True, help="Do not ask, even where a shorter retention deletes data.")
@click.option("--force", is_flag=True, help="Make new volumes even if what the old ones hold may not be written yet.")
@NO_APPLY
@JSON_OBJECT
def set_(
    provider_name: str,
    instance: str,
    tenant: str,
    settings: Sequence[str],
    yes: bool,
    force: bool,
    no_apply: bool,
    as_json: bool,
) -> None:
    """Change settings of TENANT, such as retention.logs=14d limits.metrics.ingestion_rate=50000, and apply them.

    A setting without a value, such as owner=, is taken away: the default holds again.
    """
    config = require(instance).config()
    there = place(instance, tenant)
    _assigned(there.entry, settings)
    there.file.check()
    show_difference(there.file)
    say = announce(there.file, config, forced=tenant if force else None)

    def before(found: Target) -> Plan:
        intended = say(found)
        if intended.shorter and not yes:
            click.confirm("Delete what is older?", abort=True, err=True)
        return intended

    plan = finish(there.file, provider_name, no_apply=no_apply, before=before)
    if as_json:
        stdout_json(outcome(tenant, there.file, plan=plan))
