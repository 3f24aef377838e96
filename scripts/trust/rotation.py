"""Rotating a key: a new key takes the place of an old one, and for a time the instance accepts both.

The stack file and the token files record the progress: whether the file has the new key, and whether the old key has an
end. A rotation that was stopped resumes from there, and each step is done once.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from components.core.errors import TokenError, UserError
from components.core.names import token_audience, token_subject
from components.core.public_keys import canonical_pem
from components.core.scopes import SCOPES, KeyLimits, Scope
from components.core.timestamps import format_rfc3339
from scripts.stackfile.file import key_entry
from scripts.tokens.issued import entries, issued
from scripts.tokens.key_files import read_key_pair, write_key_pair, write_secret
from scripts.tokens.parse import read_token
from scripts.tokens.passphrase import of_new_key, reader
from scripts.tokens.signing import Grant, Signer, check_names
from scripts.tokens.verify import is_signed_by
from scripts.ui import regular_files
from scripts.ui.terminal import note, printable

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    from scripts.stackfile.file import StackFile
    from scripts.tenants.apply import InstanceEdit


@dataclass(frozen=True, kw_only=True)
class NewKeyOptions:
    """Where the new key pair is: its file, its size in bits, and how the file is encrypted.

    `existing` allows a key pair in the file that the instance does not trust yet.
    """

    file: Path
    bits: int
    existing: bool = False
    encrypt: bool = False
    passphrase_file: Path | None = None

    def write(self) -> None:
        """Make the key pair."""
        write_key_pair(self.file, self.bits, of_new_key(self.file, self.passphrase_file, ask=self.encrypt))

    def read(self) -> RSAPrivateKey:
        """Return the key pair."""
        return read_key_pair(self.file, reader(self.passphrase_file))


@dataclass(frozen=True, kw_only=True)
class NewTokenOptions:
    """The tokens that the new key signs: for which tenants, in which folder, for how many seconds and for which scopes."""

    tenants: Sequence[str]
    folder: Path
    seconds: int
    scopes: tuple[Scope, ...] | None = None


@dataclass(frozen=True)
class Rotation:
    """One rotation: `old` is the old key's id, `overlap` the time in seconds for which both keys are accepted."""

    edit: InstanceEdit
    old: str
    overlap: int

    @property
    def instance(self) -> str:
        """The name of the instance."""
        return self.edit.instance

    @property
    def file(self) -> StackFile:
        """The instance's stack file."""
        return self.edit.file

    @property
    def keys(self) -> Any:
        """The keys in the stack file, to be changed in place."""
        return self.file.public_keys()

    def limits(self) -> KeyLimits:
        """Return the limits of the old key."""
        return self.file.config().data_api.limits[self.old]

    def ends(self) -> int | None:
        """Return the instant at which the old key ends, in seconds since the epoch; None if the rotation has to set it still.

        An end that the key had before counts only if it comes within the overlap from now on: the rotation replaces a
        later one.
        """
        end = self.limits().not_after
        return end if end is not None and end <= time.time() + self.overlap else None

    def is_complete(self, kid: str) -> bool:
        """Tell whether the stack file has the new key `kid` and not the old one."""
        return kid in self.keys and self.old not in self.keys


def rotate_key(rotation: Rotation, new: NewKeyOptions, tokens: NewTokenOptions) -> None:
    """Do the next steps of a rotation, and print what is left to do.

    Raises `UserError` before anything changes where the old key is unknown, or where a file would be overwritten.
    """
    check_names(rotation.instance, tokens.tenants, None)
    is_new = not new.file.exists()
    if is_new:
        _require_old(rotation)
        new.write()
    key = new.read()
    signer = Signer(key)
    if is_new:
        note(f"{new.file} is the new key pair, with the key {signer.kid}; keep it as safe as the old one")
    if signer.kid == rotation.old:
        raise UserError(f"{new.file} holds the old key itself; name a new file, and the command makes a key pair in it")
    if rotation.is_complete(signer.kid):
        rotation.edit.apply()  # the update of the last step may have failed
        note(f"{rotation.instance} accepts {signer.kid} and no key {rotation.old}: nothing is left to do")
        return
    _require_old(rotation)
    if not is_new and not new.existing:
        _require_trusted(rotation, signer.kid, new.file)
    issued_before = _issued_here(rotation.old, rotation.instance, rotation.file.config().data_api.revoked_tokens)
    grants = _grants(rotation.instance, tokens, issued_before)
    missing = _missing_files(grants, key.public_key())
    _add_new_key(rotation, signer.kid, canonical_pem(key.public_key()))
    _write_tokens(signer, missing, tokens.folder)
    _end_old_key(rotation)
    _note_other_tokens(issued_before, tokens.tenants)


def _require_old(rotation: Rotation) -> None:
    """Raise `UserError` where the instance does not have the old key."""
    keys = list(rotation.keys)
    if rotation.old not in keys:
        raise UserError(f"{rotation.instance} accepts no key {rotation.old}; it accepts {', '.join(keys) or 'none'}")


def _require_trusted(rotation: Rotation, kid: str, file: Path) -> None:
    """Raise `UserError` where an existing key pair is not among the instance's keys: somebody else may have put it there."""
    if kid not in rotation.keys:
        raise UserError(
            f"{file} exists, and {rotation.instance} does not accept its key {kid} yet. Give --existing if you made this "
            "key pair. Otherwise name a new file, in which the command makes a key pair"
        )


def _grants(
    instance: str, tokens: NewTokenOptions, issued_before: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[Path, Grant]:
    """Return the grants of the new tokens by their files."""
    return {
        tokens.folder / f"{instance}-{tenant}.jwt": Grant(
            instance=instance,
            tenant=tenant,
            seconds=tokens.seconds,
            scopes=tokens.scopes or _scopes_before(tenant, issued_before),
        )
        for tenant in tokens.tenants
    }


def _missing_files(grants: dict[Path, Grant], key: RSAPublicKey) -> dict[Path, Grant]:
    """Return the grants whose files do not exist; raises `UserError` where a file holds something else than its token."""
    missing = {path: grant for path, grant in grants.items() if not path.exists()}
    for path, grant in grants.items():
        if path not in missing and not _is_of(path, grant, key):
            raise UserError(
                f"{path} exists, holds no token of {grant.tenant} by the new key, and is not overwritten: name another "
                "folder by --out-dir, or move the file away"
            )
    return missing


def _is_of(path: Path, grant: Grant, key: RSAPublicKey) -> bool:
    """Tell whether a file holds a token of the grant's tenant with a valid signature of the key."""
    try:
        token = read_token(regular_files.read(path)[0].decode())
    except (TokenError, OSError, UnicodeDecodeError):
        return False
    claims = {"aud": token_audience(grant.instance), "sub": token_subject(grant.tenant)}
    return is_signed_by(token, key) and all(token.claims.get(name) == value for name, value in claims.items())


def _write_tokens(signer: Signer, grants: Mapping[Path, Grant], folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, token in zip(grants, issued(signer, list(grants.values())), strict=True):
        write_secret(path, token.encode())
        scopes = ", ".join(grants[path].scopes or ["everything"])
        note(f"{path} is a new token of the tenant {grants[path].tenant}, for {scopes}: give it to its clients")


def _add_new_key(rotation: Rotation, kid: str, pem: str) -> None:
    """Add the new key with the old one's limits, and apply that unless the old key has its end already."""
    if kid not in rotation.keys:
        rotation.keys[kid] = key_entry(pem, replace(rotation.limits(), not_after=None))
    if rotation.ends() is None:
        rotation.edit.apply()


def _end_old_key(rotation: Rotation) -> None:
    """Set the old key's end, or remove the key after its end; print what is left to do."""
    end = rotation.ends()
    if end is not None and end <= time.time():
        del rotation.keys[rotation.old]
        rotation.edit.apply()
        note(f"the key {rotation.old} is removed, and nothing is left to do")
        return
    if end is None:
        end = int(time.time()) + rotation.overlap
        pem = rotation.file.config().data_api.pems[rotation.old].strip()
        rotation.keys[rotation.old] = key_entry(pem, replace(rotation.limits(), not_after=end))
    rotation.edit.apply()
    note(f"left to do: give the new tokens to their clients before {format_rfc3339(end)}, when the old key ends;")
    note("  after that, run the same command once more to remove the old key")


def _issued_here(kid: str, instance: str, revoked: Container[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the live tokens of a key for an instance by the ledger of issued tokens, by tenant."""
    now, by_tenant = format_rfc3339(time.time()), defaultdict(list)
    for entry in entries()[0]:
        is_live = entry["expires"] > now and entry["id"] not in revoked
        if is_live and entry["key"] == kid and entry["instance"] == instance:
            by_tenant[str(entry["tenant"])].append(entry)
    return by_tenant


def _scopes_before(tenant: str, issued_before: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Scope, ...] | None:
    """Return the union of the scopes of a tenant's tokens; None, for everything, where a token has none or none is known.

    Raises `UserError` where the ledger of issued tokens has no scope that exists.
    """
    by_token = [str(entry.get("scope") or "").split() for entry in issued_before.get(tenant, [])]
    if not all(by_token) or not by_token:
        return None
    union = tuple(scope for scope in SCOPES if any(scope in scopes for scopes in by_token))
    if not union:
        raise UserError(
            f"the scopes of the tokens of the tenant {tenant}, {by_token}, do not exist; give --scope "
            f"(`--scope {','.join(SCOPES)}` is everything)"
        )
    return union


def _note_other_tokens(issued_before: Mapping[str, Sequence[Mapping[str, Any]]], tenants: Sequence[str]) -> None:
    """Print which issued tokens end with the old key and have no new token in their place."""
    for tenant, tokens in sorted(issued_before.items()):
        if tenant in tenants and len(tokens) == 1:
            continue
        names = ", ".join(
            printable(f"{entry.get('name') or entry['id']} ({entry.get('scope') or 'everything'})") for entry in tokens
        )
        reason = "for which one new token was made" if tenant in tenants else "which you did not name"
        note(f"of the tenant {tenant}, {reason}, these tokens end with the old key: {names}")
