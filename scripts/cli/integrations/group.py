"""The group `integrations`."""

import click

from scripts.cli.integrations import check, write
from scripts.cli.integrations import list as list_command


@click.group(short_help="Write and check configurations of clients.")
def integrations() -> None:
    """Write the configuration of a client for a tenant, and check whether its data arrives."""


integrations.add_command(list_command.list_)
integrations.add_command(write.write)
integrations.add_command(check.check)
