"""`local up`, `down`, `status` and `logs`, and `env`: the embedded cloud, and a shell that uses it."""

import dataclasses
import shlex

import click

from scripts.cli.options import OFFICIAL_PLUGINS, TRUST_RELEASE_HOST, pass_context
from scripts.context.context import Context
from scripts.context.embedded_cloud import log_lines, shell_environment
from scripts.ui.terminal import JSON_OBJECT, note, stdout_json


@click.group(short_help="Manage the embedded cloud.")
def local() -> None:
    """Start, stop and inspect the cloud that is embedded in this machine."""


@local.command(short_help="Start the embedded cloud.")
@click.option("--context", "cluster_context", help="Use your own cluster, by its context of the kubeconfig.")
@click.option("--address", help="Address of this machine at which that cluster's pods reach it. Default: detected.")
@OFFICIAL_PLUGINS
@TRUST_RELEASE_HOST
@pass_context
def up(
    context: Context, cluster_context: str | None, address: str | None, official_plugins: bool, trust_release_host: bool
) -> None:
    """Start Kubernetes and AWS on this machine. If they run already, nothing changes.

    With --context, the command starts AWS alone, and uses your cluster until `local down`.
    """
    settings = context.embedded_cloud().up(
        cluster_context,
        address,
        context.terminal,
        official_plugins=official_plugins,
        trust_release_host=trust_release_host,
    )
    cluster = f", the cluster of the context {settings.user_cluster.context}" if settings.user_cluster else ""
    note(f"Kubernetes answers at {settings.kubernetes_endpoint}{cluster}; AWS at {settings.aws_endpoint}.")
    note('To use them in this shell, run: eval "$(./opstrace env local)"')


@local.command(short_help="Stop the embedded cloud.")
@pass_context
def down(context: Context) -> None:
    """Stop the embedded cloud. Its data is lost."""
    ended = context.embedded_cloud().down()
    note("The embedded cloud is stopped: nothing of it runs, is mounted or listens on this machine.")
    if ended.stacks:
        names = ", ".join(ended.stacks)
        left = f"; their objects in the cluster of the context {ended.context} remain" if ended.context else ""
        option = f" --context {ended.context}" if ended.context else ""
        note(
            f"Lost with it: all resources and data of {names}{left}. Their state is kept. To bring them back without their "
            f"data, run `./opstrace local up{option}`, then `pulumi up --refresh` for each."
        )


@local.command(short_help="Show what runs.")
@JSON_OBJECT
@pass_context
def status(context: Context, as_json: bool) -> None:
    """Show what runs, and how it differs from a real cloud."""
    current = context.embedded_cloud().status()
    if as_json:
        stdout_json(dataclasses.asdict(current))
        return
    click.echo(f"running:           {'yes' if current.running else 'no'}")
    cluster = f"the cluster of the context {current.context}" if current.context else "a one-node cluster of its own"
    click.echo(f"Kubernetes:        {current.kubernetes}, {cluster}")
    click.echo(f"AWS:               {current.aws}")
    click.echo(f"load balancer:     {current.https}")
    click.echo(f"DNS:               {current.dns}")
    policies = {
        True: "enforced",
        False: "not enforced",
        None: "enforced if that cluster's network plugin enforces them",
    }
    click.echo(f"network policies:  {policies[current.network_policies_enforced]}")
    click.echo(f"Pulumi plugins:    {_plugins(current.stand_ins)}")
    click.echo(f"stacks:            {', '.join(current.stacks) or 'none'}")


def _plugins(stand_ins: list[str] | None) -> str:
    if stand_ins is None:
        return "none yet; `./opstrace local up` installs them"
    return f"stand-ins for {', '.join(stand_ins)}" if stand_ins else "official"


@local.command(short_help="Print a log.")
@click.argument("part", required=False)
@click.option("--lines", default=50, show_default=True, help="Number of lines from the end.")
@pass_context
def logs(context: Context, part: str | None, lines: int) -> None:
    """Print the log of PART. Without PART, print the names of all parts."""
    click.echo("\n".join(log_lines(context, part, lines)))


@click.command(short_help="Print the environment of the embedded cloud.")
@click.argument("provider", type=click.Choice(["local"]))
@pass_context
def env(context: Context, provider: str) -> None:
    """Print shell commands that set the environment for pulumi and kubectl to use the embedded cloud."""
    for name, value in shell_environment(context).items():
        click.echo(f"export {name}={shlex.quote(value)}")
