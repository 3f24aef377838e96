"""The group `tenants`."""

import click

from scripts.cli.tenants import data, edit, move, remove, show


@click.group(short_help="Manage an instance's tenants and their data.")
def tenants() -> None:
    """Manage an instance's tenants. The commands edit its stack file, keep its comments, and apply it."""


tenants.add_command(show.list_)
tenants.add_command(show.show)
tenants.add_command(edit.add)
tenants.add_command(edit.set_)
tenants.add_command(remove.remove)
tenants.add_command(move.move)
tenants.add_command(data.data)
