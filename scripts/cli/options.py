"""The context and the options that several commands share."""

import click

from scripts.context.context import Context

pass_context = click.make_pass_decorator(Context, ensure=True)
"""Passes the context to a command, and builds it at the first use."""

OFFICIAL_PLUGINS = click.option(
    "--official-plugins",
    is_flag=True,
    help="For `local`: use Pulumi's own plugins and language host, not the stand-ins, until `local down`.",
)
TRUST_RELEASE_HOST = click.option(
    "--trust-release-host",
    is_flag=True,
    help="For `local`: use releases without a pinned checksum too, as their host sends them.",
)

MOST_PARALLEL = 64
PARALLEL = click.option(
    "--parallel",
    type=click.IntRange(1, MOST_PARALLEL),
    metavar="N",
    help="Most stacks at a time. Each takes a processor and 500 to 800 MB of memory. Default: the number of processors, or "
    "fewer if memory is short.",
)
NO_APPLY = click.option("--no-apply", is_flag=True, help="Only edit the stack file.")
