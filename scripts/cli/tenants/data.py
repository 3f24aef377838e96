"""`tenants data`: list, purge, expire and adopt retained data."""

from collections.abc import Mapping
from typing import Any

import click

from scripts.cli.options import pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context, Target
from scripts.tenants.retained_data import adoption, stores
from scripts.tenants.retained_data import purge as purging
from scripts.ui.sizes import in_units
from scripts.ui.terminal import JSON_ARRAY, JSON_OBJECT, show_columns, stdout_json

ID = click.option("--id", "identity", help="The id of the data, where a tenant has several; `data list` shows it.")
COLUMNS = ("TENANT", "ID", "CREATED", "LAST WRITTEN", "OBJECTS", "STORED", "EXPIRES")


@click.group(short_help="Manage the data of deleted tenants.")
def data() -> None:
    """Manage retained data, which a tenant with `onDelete: retain` leaves behind when it is deleted."""


def _target(context: Context, provider_name: str, instance: str) -> Target:
    return context.target(provider_name, instance, context.require_file(instance).config())


@data.command("list", short_help="List retained data.")
@PROVIDER
@click.argument("instance")
@JSON_ARRAY
@pass_context
def list_(context: Context, provider_name: str, instance: str, as_json: bool) -> None:
    """List the data of deleted tenants of INSTANCE with size and age. The tags of the buckets identify it."""
    retained = stores.list_retained(_target(context, provider_name, instance))
    if as_json:
        stdout_json(retained)
        return
    show_columns(COLUMNS, map(_row, retained))


def _row(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the row of one tenant's retained data; its cells are in the order of `COLUMNS`."""
    return (
        facts["tenant"],
        facts["id"],
        facts["created"][:10],
        (facts["lastWritten"] or "never")[:16],
        f"{facts['objects']:,}",
        in_units(facts["storedBytes"]),
        facts["expiresOn"] or "never",
    )


@data.command(short_help="Delete retained data for good.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@ID
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON_OBJECT
@pass_context
def purge(
    context: Context, provider_name: str, instance: str, tenant: str, identity: str | None, yes: bool, as_json: bool
) -> None:
    """Delete the retained data of TENANT in INSTANCE for good. If it is interrupted, run it again."""
    deleted = purging.purge_retained(tenant, identity, _target(context, provider_name, instance), yes=yes)
    if as_json:
        stdout_json(deleted)


@data.command(short_help="Let retained data expire.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@ID
@click.option("--days", required=True, type=click.IntRange(1, stores.LONGEST_EXPIRY), help="Number of days from now.")
@JSON_OBJECT
@pass_context
def expire(
    context: Context, provider_name: str, instance: str, tenant: str, identity: str | None, days: int, as_json: bool
) -> None:
    """Let S3 empty the buckets of TENANT's retained data in INSTANCE after some days.

    `adopt` before that day cancels the expiry.
    """
    target = _target(context, provider_name, instance)
    facts = stores.expire_store(tenant, identity, days, target, with_facts=as_json)
    if as_json:
        stdout_json(facts)


@data.command(short_help="Give retained data back to its tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@ID
@JSON_OBJECT
@pass_context
def adopt(
    context: Context, provider_name: str, instance: str, tenant: str, identity: str | None, as_json: bool
) -> None:
    """Create TENANT in INSTANCE again, with its retained data.

    If the stack file has no entry of TENANT, the command adds one. If the command is interrupted, run it again.
    """
    adopted = adoption.adopt_retained(context, provider_name, instance, tenant, identity)
    if as_json:
        stdout_json(adopted)
