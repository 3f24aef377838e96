"""`tenants move`."""

import click

from scripts.cli.options import pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.tenants.move import Destination, move_tenant
from scripts.ui.terminal import JSON_OBJECT, stdout_json


@click.command(short_help="Move a tenant to a stack of its own, or back.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.option(
    "--to", "to", type=click.Choice(["own-stack", "instance"]), required=True, help="The stack that gets the tenant."
)
@JSON_OBJECT
@pass_context
def move(context: Context, provider_name: str, instance: str, tenant: str, to: Destination, as_json: bool) -> None:
    """Move TENANT of INSTANCE to a stack of its own (INSTANCE.TENANT) or back. Buckets and pods stay as they are.

    If it is interrupted, run it again. It resumes where it stopped.
    """
    moved = move_tenant(context, provider_name, instance, tenant, to)
    if as_json:
        stdout_json(moved)
