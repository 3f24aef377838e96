"""`integrations check`."""

from pathlib import Path

import click

from scripts.cli.options import pass_context
from scripts.cli.output.findings import show
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.integrations.check import Options, check_integration
from scripts.integrations.integration import KINDS, Kind
from scripts.ui.terminal import JSON_ARRAY

LONGEST_WAIT = 3600  # seconds


@click.command(short_help="Check whether a client's data arrives.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.option("--id", "integration_id", required=True, help="Integration ID, as `write` prints it.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Token of the client, to send a probe with it.")
@click.option("--data", "kinds", type=click.Choice(KINDS), multiple=True, help="Data that must arrive. Default: any.")
@click.option("--ca-file", type=click.Path(path_type=Path), help="CA of the gateway's certificates, if it is your own.")
@click.option("--reads", is_flag=True, help="The client only reads, as Grafana does: try queries with its token.")
@click.option(
    "--wait",
    "seconds",
    type=click.IntRange(1, LONGEST_WAIT),
    default=120,
    show_default=True,
    help="Longest wait for data, in seconds.",
)
@click.option(
    "--timeout",
    type=click.IntRange(1, LONGEST_WAIT),
    default=90,
    show_default=True,
    help="Longest wait for an answer of the gateway, and until queries return the probe, in seconds.",
)
@JSON_ARRAY
@pass_context
def check(
    context: Context,
    provider_name: str,
    instance: str,
    tenant: str,
    integration_id: str,
    token_file: Path | None,
    kinds: tuple[Kind, ...],
    ca_file: Path | None,
    reads: bool,
    seconds: int,
    timeout: int,
    as_json: bool,
) -> None:
    """Check whether data of an integration arrives in TENANT of INSTANCE, and show where it stops.

    The command looks at DNS and TLS, sends a probe with the token, and waits until queries return the probe. Then it waits
    for data of the client itself. It reads with the token if that may read. If not, it reads through the cluster. With
    --reads, it sends no probe and waits for no data. It ends with 1 at the first error.
    """
    options = Options(
        provider=provider_name,
        instance=instance,
        tenant=tenant,
        id=integration_id,
        token_file=token_file,
        kinds=kinds,
        ca_file=ca_file,
        reads=reads,
        seconds=seconds,
        timeout=timeout,
    )
    show(check_integration(context, options), "error", as_json=as_json)
