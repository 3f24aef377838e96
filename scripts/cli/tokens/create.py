"""`ta-create-keypair` and `ta-create-token`. They need no cloud."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import click

from components.core.errors import UserError
from components.core.scopes import Scope
from scripts.cli.tokens.options import BITS, EXPIRES_IN
from scripts.tokens.batch import Batch, Output, create_tokens
from scripts.tokens.key_files import write_key_pair
from scripts.tokens.passphrase import PASSPHRASE_FILE, of_new_key, reader
from scripts.ui.durations import Moment
from scripts.ui.scopes import SCOPE
from scripts.ui.terminal import note

LARGEST_BATCH = 100_000
STACKS = Path(__file__).parents[3] / "stacks"


@click.command(short_help="Make a key pair in a new file.")
@click.argument("keypair_file", type=click.Path(path_type=Path))
@BITS
@click.option("--encrypt", is_flag=True, help="Ask for a passphrase, and encrypt the file with it.")
@PASSPHRASE_FILE
def ta_create_keypair(keypair_file: Path, bits: int, encrypt: bool, passphrase_file: Path | None) -> None:
    """Make an RSA key pair in a new file KEYPAIR_FILE that only you can read.

    If a file or the environment gives a passphrase, the key pair is encrypted with it.
    """
    write_key_pair(keypair_file, bits, of_new_key(keypair_file, passphrase_file, ask=encrypt))


@click.command(short_help="Print a token for a tenant.")
@click.argument("instance")
@click.argument("tenant", metavar="TENANT[,TENANT...]")
@click.argument("keypair_file", type=click.Path(path_type=Path))
@EXPIRES_IN
@SCOPE
@click.option(
    "--not-before",
    type=Moment(),
    help="When it becomes valid: an instant (RFC 3339), or 12h from now. A year has 365.25 days.",
)
@click.option("--name", help="Its purpose in your words, for the ledger of issued tokens.")
@click.option("--count", type=click.IntRange(1, LARGEST_BATCH), default=1, help="Number of tokens for each tenant.")
@click.option("--out", "out_file", type=click.Path(path_type=Path), help="Write it into this new file, mode 0600.")
@click.option("--out-dir", type=click.Path(path_type=Path), help="Write each token into a new file in this folder.")
@PASSPHRASE_FILE
@click.option("--no-ledger", is_flag=True, help="Leave it out of the ledger, which `ta-tokens-list` prints.")
def ta_create_token(
    instance: str,
    tenant: str,
    keypair_file: Path,
    seconds: int,
    scopes: tuple[Scope, ...] | None,
    not_before: int | None,
    name: str | None,
    count: int,
    out_file: Path | None,
    out_dir: Path | None,
    passphrase_file: Path | None,
    no_ledger: bool,
) -> None:
    """Print a token with which clients reach TENANT of INSTANCE, signed with the key pair in KEYPAIR_FILE.

    Use --out to write the token into a new file that only you can read: others may read the file of a shell redirection.
    Several tokens, of several tenants or by --count, go into the folder of --out-dir, as files INSTANCE-TENANT.jwt. If
    --count is above 1, their names end in a number. Without --scope, a token opens everything of its tenant.
    """
    batch = Batch(
        instance=instance,
        tenants=tenant.split(","),
        count=count,
        seconds=seconds,
        scopes=scopes,
        not_before=not_before,
        name=name,
    )
    output = Output(out_file, out_dir)
    token = create_tokens(batch, output, keypair_file, reader(passphrase_file), ledger=not no_ledger)
    if token:
        click.echo(token, nl=False)
    elif out_file:
        note(f"The token is in {out_file}, which only you can read.")
    else:
        note(f"{count * len(batch.tenants)} tokens are in {out_dir}, in files that only you can read.")
    _note_unknown_tenants(instance, batch.tenants)


def _note_unknown_tenants(instance: str, tenants: Sequence[str]) -> None:
    """Print a warning for each tenant that the instance does not have, where its stack file is here and can be read."""
    if not (STACKS / f"Pulumi.{instance}.yaml").exists():
        return
    from scripts.context.context import Context  # noqa: PLC0415 slow to import, and rarely needed
    from scripts.tenants.locate import unknown_tenants  # noqa: PLC0415 slow to import, and rarely needed

    with contextlib.suppress(UserError):  # every other command says what is wrong with the file
        for tenant in unknown_tenants(Context(STACKS), instance, tenants):
            note(
                f"warning: {instance} has no tenant {tenant}, so its gateway refuses this token until there is one: "
                f"`./opstrace tenants add PROVIDER {instance} {tenant}`"
            )
