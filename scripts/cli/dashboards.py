"""`dashboards`."""

from pathlib import Path

import click

from scripts.dashboards.write import FOLDER, write_dashboards


@click.command(short_help="Write dashboards for Grafana.")
@click.argument("folder", metavar=FOLDER, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace files that exist already with other content.")
def dashboards(folder: Path, force: bool) -> None:
    """Write dashboards for Grafana into the folder DIR, as JSON, and print the paths of the files.

    They show the instance, the gateway, a tenant, the volume of logs, and the cost of each tenant. Their data sources are
    the metrics and the logs of the tenant system, which you choose in Grafana. The command needs no instance.
    """
    for path in write_dashboards(folder, force=force):
        click.echo(path)
