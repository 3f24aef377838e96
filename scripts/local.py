"""`opstrace local …` and `opstrace env`: the embedded cloud and the shell that uses it."""

import dataclasses
import shlex

import click

from localcloud import cloud
from scripts.terminal import JSON_OBJECT, note, stdout_json


@click.group(short_help="Start, stop and see the embedded cloud.")
def local() -> None:
    """Start, stop and look at the cloud that is embedded in this machine."""


@local.command()
@click.option("--context", help="A cluster of your own, by its context of the kubeconfig, in place of a node here.")
@click.option("--address", help="Address of this machine at which that cluster's pods reach it; found unless given.")
def up(context: str | None, address: str | None) -> None:
    """Start Kubernetes and AWS on this machine; does nothing where they run.

    With --context AWS alone is started, and the cluster is that one; it is remembered until `local down`.
    """
    here = cloud.up(context, address)
    whose = f", the cluster of the context {here.context}" if here.borrowed else ""
    note(f"Kubernetes answers at {here.kubernetes_endpoint}{whose}; AWS at {here.aws_endpoint}.")
    note('eval "$(./opstrace env local)" makes this shell use them.')


@local.command()
def down() -> None:
    """Stop the embedded cloud. What is stored in it is lost."""
    ended = cloud.down()
    note("The embedded cloud is stopped: nothing of it runs, is mounted or listens on this machine.")
    if ended.stacks:
        names = ", ".join(ended.stacks)
        left = f"; what they have in the cluster of the context {ended.context} is still there" if ended.context else ""
        option = f" --context {ended.context}" if ended.context else ""
        note(
            f"Lost with it: all resources and data of {names}{left}. Their state is kept: `./opstrace local up{option}`, "
            "then `pulumi up --refresh` for each, bring them back without their data."
        )


@local.command()
@JSON_OBJECT
def status(as_json: bool) -> None:
    """Show what runs, and what of it differs from a real cloud."""
    found = cloud.status()
    if as_json:
        stdout_json(dataclasses.asdict(found))
        return
    click.echo(f"running:           {'yes' if found.running else 'no'}")
    whose = f"the cluster of the context {found.context}" if found.context else "a one-node cluster of its own"
    click.echo(f"Kubernetes:        {found.kubernetes}, {whose}")
    click.echo(f"AWS:               {found.aws}")
    click.echo(f"load balancer:     {found.https}")
    click.echo(f"DNS:               {found.dns}")
    policies = {
        True: "enforced",
        False: "not enforced",
        None: "enforced if that cluster's network plugin enforces them",
    }
    click.echo(f"network policies:  {policies[found.network_policies_enforced]}")
    click.echo(f"Pulumi plugins:    {_plugins(found.stand_ins)}")
    click.echo(f"stacks:            {', '.join(found.stacks) or 'none'}")


def _plugins(stand_ins: list[str] | None) -> str:
    if stand_ins is None:
        return "none yet; `./opstrace local up` installs them"
    return f"stand-ins for {', '.join(stand_ins)}" if stand_ins else "official"


@local.command()
@click.argument("part", required=False)
@click.option("--lines", default=50, show_default=True, help="How many lines from the end.")
def logs(part: str | None, lines: int) -> None:
    """Print the log of PART, or the names of all parts."""
    found = cloud.log_files(cloud.require_running())
    if part is None:
        click.echo("\n".join(found))
    elif part not in found:
        raise click.UsageError(f"no part is called {part!r}; there are {', '.join(found)}")
    else:
        click.echo("\n".join(found[part].read_text(errors="replace").splitlines()[-lines:]))


@click.command(short_help="Print what a shell needs for it.")
@click.argument("provider", type=click.Choice(["local"]))
def env(provider: str) -> None:
    """Print the shell commands that let plain pulumi and kubectl use the embedded cloud."""
    for name, value in cloud.environment(cloud.require_running()).items():
        click.echo(f"export {name}={shlex.quote(value)}")
