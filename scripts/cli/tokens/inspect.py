"""`ta-inspect-token`."""

import click

from scripts.cli.options import pass_context
from scripts.clients.providers import PROVIDERS
from scripts.context.context import Context
from scripts.trust.inspection import inspection


@click.command(short_help="Describe a token in words.")
@click.argument("file", default="-")
@click.argument("provider_name", metavar="[PROVIDER", required=False, type=click.Choice(PROVIDERS))
@click.argument("instance", metavar="INSTANCE]", required=False)
@pass_context
def ta_inspect_token(context: Context, file: str, provider_name: str | None, instance: str | None) -> None:
    """Describe the token in FILE: its tenant, its end and the key that it names; `-` is standard input.

    With PROVIDER and INSTANCE, also tell whether that instance accepts it, by its stack file. The command fails if the
    instance refuses it. Do not give a token as an argument: other users would see it in the process list.
    """
    if provider_name and not instance:
        raise click.UsageError("name the INSTANCE too")
    for line in inspection(context, file, instance):
        click.echo(line)
