"""The verb group `tenants`."""

import click

from scripts import tenant_data, tenant_edits, tenant_move, tenant_removal, tenant_views


@click.group(short_help="Manage an instance's tenants and their data.")
def tenants() -> None:
    """Manage an instance's tenants: entries of its stack's file, edited with its comments kept, and applied."""


tenants.add_command(tenant_views.list_)
tenants.add_command(tenant_views.show)
tenants.add_command(tenant_edits.add)
tenants.add_command(tenant_edits.set_)
tenants.add_command(tenant_removal.remove)
tenants.add_command(tenant_move.move)
tenants.add_command(tenant_data.data)
