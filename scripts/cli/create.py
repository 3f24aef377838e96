"""`create`."""

import time

import click
from rich.table import Table

from components.core.names import APIS, SYSTEM
from scripts.cli.options import OFFICIAL_PLUGINS, TRUST_RELEASE_HOST, pass_context
from scripts.clients.providers import PROVIDER, Start
from scripts.context.context import Context
from scripts.instances.create import Created, Order, create_instance
from scripts.instances.first_tokens import token_file
from scripts.ui.terminal import note, show_table

ELSEWHERE = "where the first `create` ran"


@click.command(short_help="Create an instance and its tenants.")
@PROVIDER
@click.argument("instance")
@click.option("--tenant", "tenants", multiple=True, help="Name of a tenant; can be repeated.")
@click.option("--context", "cluster_context", help="For `local`: your own cluster, by its context of the kubeconfig.")
@click.option(
    "--secrets-provider",
    metavar="URL",
    help="For `aws`: key that encrypts secrets of Pulumi's state, such as awskms://alias/NAME?region=us-west-2. "
    "The stack remembers it. Default: the passphrase in PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE.",
)
@OFFICIAL_PLUGINS
@TRUST_RELEASE_HOST
@pass_context
def create(
    context: Context,
    provider_name: str,
    instance: str,
    tenants: tuple[str, ...],
    cluster_context: str | None,
    secrets_provider: str | None,
    official_plugins: bool,
    trust_release_host: bool,
) -> None:
    """Create INSTANCE with its tenants, and write a token file for each tenant into the current folder.

    For the provider `aws`, first write the account, cluster and network into the stack file; copy
    stacks/Pulumi.example-aws.yaml. If `create` fails, run it again. It resumes with a new key and new tokens. Once the
    update has succeeded, it only waits until the instance answers: up to 15 minutes, because AWS takes minutes to
    register targets.

    Each tenant has a Loki, which is under the AGPL-3.0. The file NOTICE lists what runs under which licence.
    """
    started = time.monotonic()
    order = Order(
        provider=provider_name,
        instance=instance,
        tenants=tenants,
        start=Start(cluster_context, official_plugins, trust_release_host),
        secrets_provider=secrets_provider,
    )
    created = create_instance(context, order)
    show_created(created, time.monotonic() - started)


def show_created(created: Created, seconds: float) -> None:
    """Print the URLs and the token files of a new instance, and a command that tries the first."""
    table = Table(title=f"{created.instance}, ready after {seconds:.0f} s", title_justify="left")
    for column in ("tenant", "metrics", "logs", "token file"):
        table.add_column(column, no_wrap=True)
    for tenant in created.tenants:
        file = token_file(tenant)
        table.add_row(tenant, *(created.url(api, tenant) for api in APIS), str(file) if file.exists() else ELSEWHERE)
    show_table(table)
    collectors, wait = created.config.collectors, created.provider.collectors_wait
    enabled = {"logs": collectors.logs, "metrics": collectors.metrics}
    if kinds := " and ".join(kind for kind in enabled if enabled[kind]):
        note(f"The cluster's own {kinds} follow in the tenant {SYSTEM}{f' {wait}' if wait else ''}.")
    first, ca_file = created.tenants[0], created.provider.ca_file
    ca = f"--cacert {ca_file} " if ca_file else ""
    if ca_file:
        note(f"Clients must trust {ca_file}.")
    if not token_file(first).exists():
        return
    note("Try it:")
    note(f"  sed 's/^/Authorization: Bearer /' {token_file(first)} |")
    note(f"    curl {ca}-H @- {created.url('cortex', first)}/api/v1/labels")
