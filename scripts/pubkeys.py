"""`ta-pubkeys-add`, `-list` and `-remove`: whose tokens an instance accepts."""

from pathlib import Path
from typing import Any

import click

from components.access import UNLIMITED, KeyLimits, Scope, limits_in_words
from components.errors import UserError
from components.instants import written
from components.keys import canonical_pem, key_id
from scripts.apply import NO_APPLY, finish
from scripts.durations import Moment
from scripts.keyfiles import read_public_key
from scripts.passphrase import PASSPHRASE_FILE, reader
from scripts.providers import PROVIDER
from scripts.scopes import SCOPE
from scripts.stackfile import literal, quoted, require
from scripts.terminal import JSON_OBJECT, stdout_json


@click.command(short_help="Accept the tokens that a key signs.")
@PROVIDER
@click.argument("instance")
@click.argument("key_file", type=click.Path(path_type=Path))
@click.option("--tenant", "tenants", multiple=True, help="Tokens for this tenant alone; may be given several times.")
@SCOPE
@click.option("--not-after", type=Moment(), help="Until then alone: an instant (RFC 3339), or 90d from now.")
@PASSPHRASE_FILE
@NO_APPLY
def ta_pubkeys_add(
    provider_name: str,
    instance: str,
    key_file: Path,
    tenants: tuple[str, ...],
    scopes: tuple[Scope, ...] | None,
    not_after: int | None,
    passphrase_file: Path | None,
    no_apply: bool,
) -> None:
    """Let INSTANCE accept tokens signed with the key in KEY_FILE, a public key or a key pair.

    With --tenant, --scope or --not-after it accepts those alone that keep within these limits.
    """
    file = require(instance)
    key = read_public_key(key_file, reader(passphrase_file))
    kid = key_id(key)
    keys = file.public_keys()
    if kid in keys:
        raise UserError(f"the key {kid} is there already")
    keys[kid] = key_entry(canonical_pem(key), KeyLimits(tenants or None, scopes, not_after))
    finish(file, provider_name, no_apply=no_apply)


def key_entry(pem: str, limits: KeyLimits) -> Any:
    """Return a key as it stands in a stack's file: its PEM text, or that with limits."""
    if limits == UNLIMITED:
        return literal(pem + "\n")
    entry = literal({"pem": pem + "\n"} | limits_in_words(limits))
    if limits.not_after is not None:
        entry["notAfter"] = quoted(written(limits.not_after))
    return entry


@click.command(short_help="Print the ids of the accepted keys.")
@PROVIDER
@click.argument("instance")
@JSON_OBJECT
def ta_pubkeys_list(provider_name: str, instance: str, as_json: bool) -> None:
    """Print the ids of the keys that INSTANCE accepts, one a line; --json tells their limits too."""
    keys = require(instance).config().data_api.limits
    if as_json:
        stdout_json({kid: limits_in_words(limits) for kid, limits in keys.items()})
        return
    for kid in keys:
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
