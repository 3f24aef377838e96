"""`tenants add` and `tenants set`."""

import itertools
from collections.abc import Sequence

import click

from scripts.cli.options import NO_APPLY, PARALLEL, pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.tenants.edit import Edit, add_tenant, change_tenant, token_command
from scripts.tenants.own_stacks.add import Addition, add_tenants
from scripts.ui.terminal import JSON_OBJECT, note, stdout_json


@click.command(short_help="Add a tenant, or several.")
@PROVIDER
@click.argument("instance")
@click.argument("tenants", nargs=-1, required=True, metavar="TENANT... [NAME=VALUE]...")
@click.option("--own-stack", is_flag=True, help="Give each a stack of its own, INSTANCE.TENANT. Several need this.")
@PARALLEL
@NO_APPLY
@JSON_OBJECT
@pass_context
def add(
    context: Context,
    provider_name: str,
    instance: str,
    tenants: Sequence[str],
    own_stack: bool,
    parallel: int | None,
    no_apply: bool,
    as_json: bool,
) -> None:
    """Add TENANT to INSTANCE, with settings such as retention.metrics=30d, and apply it.

    Several tenants get the same settings. Their stacks are applied side by side, and one that fails leaves the others alone.
    If the command fails or is interrupted, run it again. It resumes where it stopped.
    """
    names, settings = _split(tenants)
    if len(names) > 1 or parallel:
        if not own_stack:
            raise click.UsageError(
                f"several tenants ({', '.join(names)}), and --parallel, need --own-stack; settings have the form NAME=VALUE"
            )
        addition = Addition(
            provider_name=provider_name,
            instance=instance,
            tenants=names,
            settings=settings,
            parallel=parallel,
            no_apply=no_apply,
        )
        _add_several(context, addition, as_json=as_json)
        return
    (tenant,) = names
    edit = Edit(provider_name=provider_name, instance=instance, tenant=tenant, settings=settings, no_apply=no_apply)
    added = add_tenant(context, edit, own_stack=own_stack)
    if as_json:
        stdout_json(added)
    if not no_apply:
        note(f"A token for it: {token_command(instance, tenant)}")


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of tenants, which come first, and the settings after them."""
    names = [*itertools.takewhile(lambda word: "=" not in word, words)]
    settings = [*words[len(names) :]]
    if not names:
        raise click.UsageError("Missing argument 'TENANT'.")
    if late := [word for word in settings if "=" not in word]:
        raise click.UsageError(
            f"{', '.join(late)}: names of tenants come before settings, which have the form NAME=VALUE"
        )
    return names, settings


def _add_several(context: Context, addition: Addition, *, as_json: bool) -> None:
    added = add_tenants(context, addition)
    if as_json:
        stdout_json(added.plain())
    if added.results:
        added.results.report()
        note(f"Tokens for them: {token_command(addition.instance, 'TENANT')}")


@click.command("set", short_help="Change a tenant's settings.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@click.option("--yes", is_flag=True, help="Do not ask, even where a shorter retention deletes data.")
@click.option("--force", is_flag=True, help="Replace volumes even if they may hold data that is not in a bucket yet.")
@NO_APPLY
@JSON_OBJECT
@pass_context
def set_(
    context: Context,
    provider_name: str,
    instance: str,
    tenant: str,
    settings: Sequence[str],
    yes: bool,
    force: bool,
    no_apply: bool,
    as_json: bool,
) -> None:
    """Change settings of TENANT in INSTANCE, and apply them.

    Settings have the form retention.logs=14d or limits.metrics.ingestion_rate=50000. An empty value, such as owner=,
    removes the setting, and its default applies.
    """
    edit = Edit(provider_name=provider_name, instance=instance, tenant=tenant, settings=settings, no_apply=no_apply)
    changed = change_tenant(context, edit, yes=yes, force=force)
    if as_json:
        stdout_json(changed)
