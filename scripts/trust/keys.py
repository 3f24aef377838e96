"""The public keys that an instance trusts: adding and removing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.core.errors import UserError
from components.core.public_keys import canonical_pem, key_id
from scripts.stackfile.file import StackFile, key_entry
from scripts.tenants.locate import unknown_tenants
from scripts.tokens.key_files import read_public_key
from scripts.ui.terminal import note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from components.core.scopes import KeyLimits
    from scripts.context.context import Context
    from scripts.tenants.apply import InstanceEdit


def trusted_keys(context: Context, instance: str) -> Mapping[str, KeyLimits]:
    """Return the limits of the keys that an instance trusts, by the keys' ids."""
    return context.require_file(instance).config().data_api.limits


def add_key(edit: InstanceEdit, key_file: Path, passphrase: Callable[[Path], bytes], limits: KeyLimits) -> None:
    """Let the instance accept tokens that the key in a file signs, within `limits`.

    `passphrase` is called where the file has an encrypted key pair. Raises `UserError` where the file has no key, or
    where the instance has the key already.
    """
    edit.file.require_editable()  # before the passphrase is asked for
    key = read_public_key(key_file, passphrase)
    kid = key_id(key)
    keys = edit.file.public_keys()
    if kid in keys:
        raise UserError(
            f"{edit.instance} has the key {kid} already; to change its limits, remove it first. If the update that adds it "
            f"failed or was interrupted, run `./opstrace recover {edit.provider_name} {edit.instance}`, then `pulumi up "
            f"--stack {edit.instance}`"
        )
    keys[kid] = key_entry(canonical_pem(key), limits)
    _require_effect(edit.file, kid, is_key=True)
    for tenant in unknown_tenants(edit.context, edit.instance, limits.tenants or ()):
        note(
            f"warning: {edit.instance} has no tenant {tenant}, so this key opens nothing of it until there is one: "
            f"`./opstrace tenants add {edit.provider_name} {edit.instance} {tenant}`"
        )
    edit.apply()


def remove_key(edit: InstanceEdit, kid: str, *, force: bool) -> None:
    """Let the instance refuse all tokens that the key signed.

    Raises `UserError` where the instance does not have the key, and without `force` where it is the last one.
    """
    keys = edit.file.public_keys()
    if kid not in keys:
        raise UserError(f"there is no key {kid}; there are {', '.join(keys) or 'none'}")
    if len(keys) == 1 and not force:
        raise UserError(f"{kid} is the last key, and without it no token is valid; give --force to remove it")
    del keys[kid]
    _require_effect(edit.file, kid, is_key=False)
    edit.apply()


def _require_effect(file: StackFile, kid: str, *, is_key: bool) -> None:
    """Raise `UserError` where the edit did not have its effect; `StackFile.write` compares all other settings."""
    if (kid in file.settings()["dataApi"]["publicKeys"]) != is_key:
        problem = "is not among" if is_key else "is still among"
        raise UserError(
            f"after the edit, the key {kid} {problem} the publicKeys of {file.path.name}; edit the file by hand"
        )
