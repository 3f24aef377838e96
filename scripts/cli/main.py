"""The `opstrace` command. It imports the module of a command when that command is called."""

import importlib
import os
import sys

import click

from components.shared.startup import disable_garbage_collector
from scripts.cli.output.failures import report
from scripts.tokens.passphrase import keep_from_others
from scripts.ui.terminal import stderr

COMMANDS = {
    "create": "scripts.cli.create",
    "up": "scripts.cli.up",
    "destroy": "scripts.cli.instances",
    "list": "scripts.cli.instances",
    "status": "scripts.cli.instances",
    "recover": "scripts.cli.instances",
    "check": "scripts.cli.check",
    "aws-policy": "scripts.cli.aws_policy",
    "tenants": "scripts.cli.tenants.group",
    "integrations": "scripts.cli.integrations.group",
    "dashboards": "scripts.cli.dashboards",
    "ui": "scripts.cli.ui",
    "env": "scripts.cli.local",
    "ta-create-keypair": "scripts.cli.tokens.create",
    "ta-create-token": "scripts.cli.tokens.create",
    "ta-inspect-token": "scripts.cli.tokens.inspect",
    "ta-revoke-token": "scripts.cli.tokens.revoke",
    "ta-tokens-list": "scripts.cli.tokens.list",
    "ta-pubkeys-add": "scripts.cli.tokens.keys",
    "ta-pubkeys-list": "scripts.cli.tokens.keys",
    "ta-pubkeys-remove": "scripts.cli.tokens.keys",
    "ta-rotate-key": "scripts.cli.tokens.rotate",
    "local": "scripts.cli.local",
}


RESUMED = ("create", "up", "destroy", "recover", "tenants", "ta-rotate-key", "ta-revoke-token", "local")
AGAIN = "error: interrupted. Run the same command again: it resumes where it stopped"
INTERRUPTED = (
    "error: interrupted. If an update was running, what it created stays: "
    "`./opstrace recover PROVIDER INSTANCE`, then `pulumi up --stack INSTANCE`, completes it"
)
INTERRUPTED_STATUS = 130  # 128 and the number of SIGINT, as shells count


class Commands(click.Group):
    """A group that imports a command when it is named: `ta-create-token` must not wait for an engine's modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, or None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        name = {"list": "list_"}.get(cmd_name, cmd_name.replace("-", "_"))
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. Ctrl-C ends with one message and exit status 130; click would end it with "Aborted!" and 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            stderr.print(AGAIN if ctx.invoked_subcommand in RESUMED else INTERRUPTED, markup=False)
            ctx.exit(INTERRUPTED_STATUS)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def opstrace() -> None:
    """Run your own multi-tenant observability on AWS and Kubernetes."""


def main() -> None:
    """Run the command. An error exits with 1, wrong usage with 2, an interrupt with 130.

    click ends a command quietly with 1 when the reader of its output, such as `head`, has ended.
    """
    os.umask(0o077)  # files are the user's alone, unless the code that writes one sets another mode
    disable_garbage_collector()
    keep_from_others()
    try:
        opstrace(prog_name="opstrace")
    except Exception as error:
        report(error)
        sys.exit(1)
