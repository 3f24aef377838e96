"""`tenants add` and `tenants set`."""

from collections.abc import Sequence

import click

from scripts.cli.options import NO_APPLY, pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.tenants.edit import Edit, add_tenant, change_tenant, note_next_step
from scripts.ui.terminal import JSON_OBJECT, stdout_json


@click.command(short_help="Add a tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.argument("settings", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--own-stack", is_flag=True, help="Give it a stack of its own, INSTANCE.TENANT.")
@NO_APPLY
@JSON_OBJECT
@pass_context
def add(
    context: Context,
    provider_name: str,
    instance: str,
    tenant: str,
    settings: Sequence[str],
    own_stack: bool,
    no_apply: bool,
    as_json: bool,
) -> None:
    """Add TENANT to INSTANCE, with settings such as retention.metrics=30d, and apply it.

    If it fails or is interrupted, run it again. It resumes where it stopped.
    """
    edit = Edit(provider_name=provider_name, instance=instance, tenant=tenant, settings=settings, no_apply=no_apply)
    added = add_tenant(context, edit, own_stack=own_stack)
    if as_json:
        stdout_json(added)
    if not no_apply:
        note_next_step(edit)


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
