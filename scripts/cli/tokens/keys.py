"""`ta-pubkeys-add`, `ta-pubkeys-list` and `ta-pubkeys-remove`."""

from pathlib import Path

import click

from components.core.scopes import KeyLimits, Scope, limits_as_settings
from scripts.cli.options import NO_APPLY, pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.tenants.apply import InstanceEdit
from scripts.tokens.passphrase import PASSPHRASE_FILE, reader
from scripts.trust.keys import add_key, remove_key, trusted_keys
from scripts.ui.durations import Moment
from scripts.ui.scopes import SCOPE
from scripts.ui.terminal import JSON_OBJECT, stdout_json


@click.command(short_help="Accept the tokens that a key signs.")
@PROVIDER
@click.argument("instance")
@click.argument("key_file", type=click.Path(path_type=Path))
@click.option("--tenant", "tenants", multiple=True, help="Accept only tokens of this tenant; can be repeated.")
@SCOPE
@click.option(
    "--not-after",
    type=Moment(),
    help="Accept the key until then: an instant (RFC 3339), or 90d from now. A year has 365.25 days.",
)
@PASSPHRASE_FILE
@NO_APPLY
@pass_context
def ta_pubkeys_add(
    context: Context,
    provider_name: str,
    instance: str,
    key_file: Path,
    tenants: tuple[str, ...],
    scopes: tuple[Scope, ...] | None,
    not_after: int | None,
    passphrase_file: Path | None,
    no_apply: bool,
) -> None:
    """Let INSTANCE accept tokens that are signed with the key in KEY_FILE, a public key or a key pair.

    With --tenant, --scope or --not-after, it accepts only the tokens within these limits.
    """
    edit = InstanceEdit(context=context, provider_name=provider_name, instance=instance, no_apply=no_apply)
    add_key(edit, key_file, reader(passphrase_file), KeyLimits(tenants or None, scopes, not_after))


@click.command(short_help="List the accepted keys.")
@PROVIDER
@click.argument("instance")
@JSON_OBJECT
@pass_context
def ta_pubkeys_list(context: Context, provider_name: str, instance: str, as_json: bool) -> None:
    """List the ids of the keys that INSTANCE accepts, one per line. --json adds their limits."""
    keys = trusted_keys(context, instance)
    if as_json:
        stdout_json({kid: limits_as_settings(limits) for kid, limits in keys.items()})
        return
    for kid in keys:
        click.echo(kid)


@click.command(short_help="Refuse the tokens of a key.")
@PROVIDER
@click.argument("instance")
@click.argument("key_id_", metavar="KEY_ID")
@click.option("--force", is_flag=True, help="Remove the last key too. Then no token is valid.")
@NO_APPLY
@pass_context
def ta_pubkeys_remove(
    context: Context, provider_name: str, instance: str, key_id_: str, force: bool, no_apply: bool
) -> None:
    """Let INSTANCE refuse all tokens that are signed with the key KEY_ID."""
    remove_key(
        InstanceEdit(context=context, provider_name=provider_name, instance=instance, no_apply=no_apply),
        key_id_,
        force=force,
    )
