"""`destroy`, `list`, `status` and `recover`."""

from typing import Any

import click

from scripts.cli.options import pass_context
from scripts.cli.output.newest_data import ages_in_words, note_reasons
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.instances import stacks
from scripts.instances.destroy import DestroyOptions, destroy_instance
from scripts.instances.status import status_of_instance
from scripts.tenants.readiness import READY
from scripts.ui.terminal import JSON_OBJECT, stdout_json


@click.command(short_help="Remove an instance.")
@PROVIDER
@click.argument("instance")
@click.option("--purge", is_flag=True, help="Delete the data of all tenants too, with data that was retained earlier.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Remove it even if pods may hold data that is not in a bucket yet.")
@click.option("--preserve-config", is_flag=True, help="Keep the stack file.")
@pass_context
def destroy(
    context: Context,
    provider_name: str,
    instance: str,
    purge: bool,
    yes: bool,
    force: bool,
    preserve_config: bool,
) -> None:
    """Remove INSTANCE with everything in it. The onDelete setting of each tenant decides about its data.

    The command removes the stack file too, as `pulumi stack rm` does. It keeps the file with --preserve-config, and
    where data is retained, since the file tells where that data is.
    """
    options = DestroyOptions(purge=purge, yes=yes, force=force, preserve_config=preserve_config)
    destroy_instance(context, provider_name, instance, options)


@click.command("list", short_help="List the instances.")
@PROVIDER
@pass_context
def list_(context: Context, provider_name: str) -> None:
    """List the names of the instances of PROVIDER, one per line."""
    for name in stacks.list_instances(context, provider_name):
        click.echo(name)


@click.command(short_help="Recover from a killed update.")
@PROVIDER
@click.argument("stack", metavar="INSTANCE[.TENANT]")
@pass_context
def recover(context: Context, provider_name: str, stack: str) -> None:
    """Recover from a killed `pulumi up` of INSTANCE, or from a killed plugin.

    The command clears the lock, and settles resources whose creation has an unknown outcome. INSTANCE.TENANT is the
    stack of a tenant that has its own.
    """
    stacks.recover(context, provider_name, stack)


@click.command(short_help="Show an instance's tenants.")
@PROVIDER
@click.argument("instance")
@JSON_OBJECT
@pass_context
def status(context: Context, provider_name: str, instance: str, as_json: bool) -> None:
    """Show the tenants of INSTANCE, the keys it trusts, and whether the gateway answers.

    The command also shows how old the newest data of the collectors in the tenant system is.
    """
    instance_status = status_of_instance(context, provider_name, instance)
    if as_json:
        stdout_json(instance_status.plain())
        return
    click.echo(f"instance:      {instance}\ndomain:        {instance_status.domain}")
    click.echo(f"trusted keys:  {', '.join(instance_status.key_ids)}")
    if instance_status.gateway.is_unready:
        click.echo(f"gateway:       NOT READY: {instance_status.gateway.in_words()}")
    for pod, state in instance_status.pods.items():
        click.echo(f"{pod}: {state.in_words() if state else 'does not tell which keys it has'}")
    for name, facts in instance_status.tenants.items():
        click.echo(f"tenant {name}: {_in_words(facts)}")
    click.echo(f"collected:     {ages_in_words(instance_status.newest)}")
    note_reasons(instance_status.newest)


def _in_words(facts: dict[str, Any]) -> str:
    if not facts["applied"]:
        return "configured, but not applied; run `pulumi up`"
    fate = "but protected" if facts["protected"] else "the next `pulumi up` removes it"
    removed = "" if facts["configured"] else f", no longer configured: {fate}"
    state = "gateway answers" if facts["gateway"] else "gateway DOES NOT ANSWER"
    if facts["state"] not in (READY, None):
        state = f"NOT READY: {'; '.join([facts['state'], *facts['reasons']])}"
    return f"{facts['cortex']} {facts['loki']}, {state}{removed}"
