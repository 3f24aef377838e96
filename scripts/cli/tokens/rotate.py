"""`ta-rotate-key`."""

from pathlib import Path

import click

from components.core.scopes import Scope
from scripts.cli.options import NO_APPLY, pass_context
from scripts.cli.tokens.options import BITS, EXPIRES_IN
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.tenants.apply import InstanceEdit
from scripts.tokens.passphrase import PASSPHRASE_FILE
from scripts.trust.rotation import NewKeyOptions, NewTokenOptions, Rotation, rotate_key
from scripts.ui.durations import Duration
from scripts.ui.scopes import SCOPE


@click.command(short_help="Replace a key by a new one.")
@PROVIDER
@click.argument("instance")
@click.argument("key_id", metavar="OLD_KEY_ID")
@click.argument("keypair_file", metavar="NEW_KEYPAIR_FILE", type=click.Path(path_type=Path))
@click.option("--tenant", "tenants", multiple=True, help="Sign a new token for this tenant; can be repeated.")
@click.option("--out-dir", type=click.Path(path_type=Path), default=".", help="Folder for the files of new tokens.")
@click.option(
    "--overlap",
    type=Duration(),
    default="30d",
    show_default=True,
    help="For how long both keys are accepted. A year has 365.25 days.",
)
@EXPIRES_IN
@SCOPE
@BITS
@click.option("--existing", is_flag=True, help="Use the key pair that the file has already.")
@click.option("--encrypt", is_flag=True, help="Ask for a passphrase, and encrypt a new key pair with it.")
@PASSPHRASE_FILE
@NO_APPLY
@pass_context
def ta_rotate_key(
    context: Context,
    provider_name: str,
    instance: str,
    key_id: str,
    keypair_file: Path,
    tenants: tuple[str, ...],
    out_dir: Path,
    overlap: int,
    seconds: int,
    scopes: tuple[Scope, ...] | None,
    bits: int,
    existing: bool,
    encrypt: bool,
    passphrase_file: Path | None,
    no_apply: bool,
) -> None:
    """Replace the key OLD_KEY_ID of INSTANCE by the key pair in NEW_KEYPAIR_FILE.

    If the file does not exist, the command makes a key pair in it. Give --existing for a key pair that INSTANCE does not
    accept yet. The new key gets the limits of the old one. New tokens for the tenants of --tenant go into the files
    INSTANCE-TENANT.jwt. Without --scope, a new token has the scopes of the tenant's tokens that were issued here.

    The old key ends after --overlap. Run the same command after that to remove it. If the command is stopped, run it
    again: it resumes, and says what is left to do.
    """
    rotation = Rotation(
        InstanceEdit(context=context, provider_name=provider_name, instance=instance, no_apply=no_apply),
        key_id,
        overlap,
    )
    new = NewKeyOptions(
        file=keypair_file, bits=bits, existing=existing, encrypt=encrypt, passphrase_file=passphrase_file
    )
    rotate_key(rotation, new, NewTokenOptions(tenants=tenants, folder=out_dir, seconds=seconds, scopes=scopes))
