"""The `opstrace` command: its verbs, each in a module of its group that is loaded only when it is called."""

import importlib
import sys

import click

from components.errors import UserError
from components.short_lived import collect_no_garbage
from scripts.passphrase import keep_from_others
from scripts.terminal import stderr

VERBS = {
    "create": "scripts.create",
    "destroy": "scripts.instances",
    "list": "scripts.instances",
    "status": "scripts.instances",
    "recover": "scripts.instances",
    "tenants": "scripts.tenants",
    "env": "scripts.local",
    "ta-create-keypair": "scripts.tokens",
    "ta-create-token": "scripts.tokens",
    "ta-inspect-token": "scripts.inspection",
    "ta-revoke-token": "scripts.revocation",
    "ta-tokens-list": "scripts.token_list",
    "ta-pubkeys-add": "scripts.pubkeys",
    "ta-pubkeys-list": "scripts.pubkeys",
    "ta-pubkeys-remove": "scripts.pubkeys",
    "ta-rotate-key": "scripts.rotation",
    "local": "scripts.local",
}


class Verbs(click.Group):
    """A group whose commands are imported when they are named: `ta-create-token` must not wait for an engine."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which they are shown."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the verb's command, or None where there is no such verb."""
        if cmd_name not in VERBS:
            return None
        name = {"list": "list_"}.get(cmd_name, cmd_name.replace("-", "_"))
        command = getattr(importlib.import_module(VERBS[cmd_name]), name)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def opstrace() -> None:
    """Run your own multi-tenant observability on AWS and Kubernetes."""


def main() -> None:
    """Run the command: handled errors exit 1 with one line `error: …`, wrong usage exits 2."""
    collect_no_garbage()
    keep_from_others()
    try:
        opstrace(prog_name="opstrace")
    except (UserError, OSError) as error:
        stderr.print(f"error: {error}", markup=False)
        sys.exit(1)
    except Exception as error:
        # Not imported for its own sake: most verbs need no AWS, and it takes longer to load than they take.
        if not type(error).__module__.startswith("botocore."):
            raise
        stderr.print(f"error: AWS does not do what it was asked for: {error}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        stderr.print("error: interrupted", markup=False)
        sys.exit(130)
