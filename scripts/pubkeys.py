"""`ta-pubkeys-add`, `-list` and `-remove`: whose tokens an instance accepts."""

from pathlib import Path

import click

from components.errors import UserError
from components.keys import canonical_pem, key_id
from scripts.apply import NO_APPLY, finish
from scripts.keyfiles import read_public_key
from scripts.passphrase import PASSPHRASE_FILE, reader
from scripts.providers import PROVIDER
from scripts.stackfile import literal, require


@click.command(short_help="Accept the tokens that a key signs.")
@PROVIDER
@click.argument("instance")
@click.argument("key_file", type=click.Path(path_type=Path))
@PASSPHRASE_FILE
@NO_APPLY
def ta_pubkeys_add(
    provider_name: str, instance: str, key_file: Path, passphrase_file: Path | None, no_apply: bool
) -> None:
    """Let INSTANCE accept tokens signed with the key in KEY_FILE, a public key or a key pair."""
    file = require(instance)
    key = read_public_key(key_file, reader(passphrase_file))
    kid = key_id(key)
    keys = file.public_keys()
    if kid in keys:
        raise UserError(f"the key {kid} is there already")
    keys[kid] = literal(canonical_pem(key) + "\n")
    finish(file, provider_name, no_apply=no_apply)


@click.command(short_help="Print the ids of the accepted keys.")
@PROVIDER
@click.argument("instance")
def ta_pubkeys_list(provider_name: str, instance: str) -> None:
    """Print the ids of the keys that INSTANCE accepts."""
    for kid in require(instance).config().data_api.public_keys:
        click.echo(kid)


@click.command(short_help="Accept the tokens of a key no more.")
@PROVIDER
@click.argument("instance")
@click.argument("key_id_", metavar="KEY_ID")
@click.option("--force", is_flag=True, help="Remove the last key too: no token is valid then.")
@NO_APPLY
def ta_pubkeys_remove(provider_name: str, instance: str, key_id_: str, force: bool, no_apply: bool) -> None:
    """Refuse all tokens that were signed with the key KEY_ID from now on."""
    file = require(instance)
    keys = file.public_keys()
    if key_id_ not in keys:
        raise UserError(f"there is no key {key_id_}; there are {', '.join(keys) or 'none'}")
    if len(keys) == 1 and not force:
        raise UserError(f"{key_id_} is the last key: without it no token is valid; --force removes it all the same")
    del keys[key_id_]
    finish(file, provider_name, no_apply=no_apply)
