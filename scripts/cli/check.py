"""`check`."""

import click

from scripts.cli.options import pass_context
from scripts.cli.output.findings import show
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.instances.check import check_instance
from scripts.ui.terminal import JSON_ARRAY


@click.command(short_help="Check account, network, domain and cluster.")
@PROVIDER
@click.argument("instance")
@JSON_ARRAY
@pass_context
def check(context: Context, provider_name: str, instance: str, as_json: bool) -> None:
    """Check what INSTANCE needs of its AWS account, network, domain and cluster. No resource is changed.

    Each line is ok, a warning or an error with its remedy. Two pods start for some seconds, to prove that network policies
    are enforced. The command takes at most 20 seconds, and ends with 1 if it found an error. `create`, `tenants add` and
    `tenants set` run the same checks first, and stop at an error.
    """
    show(check_instance(context, provider_name, instance), "warning", as_json=as_json)
