"""`up`."""

import click

from scripts.cli.options import PARALLEL, pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.instances.up import UpOptions, up_instance
from scripts.ui.terminal import JSON_OBJECT, stdout_json


@click.command(short_help="Bring all stacks of an instance up to date.")
@PROVIDER
@click.argument("instance")
@PARALLEL
@click.option("--preview", is_flag=True, help="Only show the number of changes of each stack.")
@click.option("--yes", is_flag=True, help="Do not ask, even where a shorter retention deletes data.")
@JSON_OBJECT
@pass_context
def up(
    context: Context,
    provider_name: str,
    instance: str,
    parallel: int | None,
    preview: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Apply the stack file of INSTANCE, then those of tenants with stacks of their own, side by side.

    A tenant that fails leaves the others alone. If the command fails or is interrupted, run it again: it completes the rest.
    The engine's output of each stack goes into a file, and its end is shown if the stack fails.
    """
    results = up_instance(context, provider_name, instance, UpOptions(parallel=parallel, preview=preview, yes=yes))
    if as_json:
        stdout_json({"instance": instance, "preview": preview, **results.plain()})
    results.report()
