"""`ui`."""

from pathlib import Path

import click

from scripts.cli.options import pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.tokens.key_files import read_key_pair
from scripts.tokens.passphrase import PASSPHRASE_FILE, reader
from scripts.tokens.signing import Signer
from scripts.web.server import Options, leave, serve

HIGHEST_PORT = 65535


@click.command(short_help="Show the tenants in a browser.")
@PROVIDER
@click.argument("instance")
@click.option("--port", type=click.IntRange(0, HIGHEST_PORT), default=0, help="Port on 127.0.0.1. Default: a free one.")
@click.option("--read-only", is_flag=True, help="Change nothing.")
@click.option("--no-browser", is_flag=True, help="Only print the URL.")
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path),
    help="File with a key pair that the instance trusts. Without it, the page shows no data of tenants.",
)
@PASSPHRASE_FILE
@pass_context
def ui(
    context: Context,
    provider_name: str,
    instance: str,
    port: int,
    read_only: bool,
    no_browser: bool,
    key_file: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Show the tenants of INSTANCE in a browser, on this machine alone, and change them there.

    The command prints a URL that works once, and opens it. After each use it prints another one. Changes do what `tenants add`,
    `tenants set` and `tenants remove` do. Ctrl-C ends the page. During an update, a second Ctrl-C interrupts the update.

    With --key, the page shows data of tenants. For its queries, it makes tokens that may only read and that end after 10
    minutes. Key and tokens stay in the memory of this command.
    """
    signer = Signer(read_key_pair(key_file, reader(passphrase_file))) if key_file else None
    options = Options(port=port, read_only=read_only, open_browser=not no_browser, signer=signer)
    serve(context, provider_name, instance, options)
    leave()
