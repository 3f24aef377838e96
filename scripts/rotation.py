"""`ta-rotate-key`: a new key takes the place of an old one, with a time in which both are accepted.

Where it stands is seen from the stack's file (is the new key in, has the old one an end?) and from the files of
tokens: each step is done once, however often the command is stopped and called again.
"""

import time
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from components.access import SCOPES, KeyLimits, Scope
from components.errors import TokenError, UserError
from components.instants import written
from components.keys import canonical_pem
from components.names import token_audience, token_subject
from scripts.apply import NO_APPLY, finish
from scripts.durations import Duration
from scripts.keyfiles import read_key_pair, write_key_pair, write_secret
from scripts.ledger import entries, issued
from scripts.passphrase import PASSPHRASE_FILE, of_new_key, reader
from scripts.providers import PROVIDER
from scripts.pubkeys import key_entry
from scripts.scopes import SCOPE
from scripts.signing import Grant, Signer
from scripts.stackfile import StackFile, require
from scripts.terminal import note
from scripts.token_reader import read_token
from scripts.tokens import BITS, EXPIRES_IN, check_names


@dataclass(frozen=True)
class Rotation:
    """What was asked for: `old` is a key's id, `overlap` in seconds."""

    file: StackFile
    provider: str
    old: str
    overlap: int
    no_apply: bool

    @property
    def keys(self) -> Any:
        """The keys as they stand in the stack's file, to be changed in place."""
        return self.file.public_keys()

    def limits(self) -> KeyLimits:
        """What the old key's tokens may be for."""
        return self.file.config().data_api.limits[self.old]

    def ends(self) -> int | None:
        """When the old key ends, if that is no later than the overlap from now on."""
        end = self.limits().not_after
        return end if end is not None and end <= time.time() + self.overlap else None

    def apply(self) -> None:
        """Write the stack's file and apply it."""
        finish(self.file, self.provider, no_apply=self.no_apply)


@click.command(short_help="Let a new key take an old one's place.")
@PROVIDER
@click.argument("instance")
@click.argument("key_id", metavar="OLD_KEY_ID")
@click.argument("keypair_file", metavar="NEW_KEYPAIR_FILE", type=click.Path(path_type=Path))
@click.option("--tenant", "tenants", multiple=True, help="Sign a new token for it; may be given several times.")
@click.option("--out-dir", type=click.Path(path_type=Path), default=".", help="Folder of the new tokens' files.")
@click.option(
    "--overlap", type=Duration(), default="30d", show_default=True, help="How long the old key is accepted beside it."
)
@EXPIRES_IN
@SCOPE
@BITS
@click.option("--encrypt", is_flag=True, help="Ask for a passphrase for a new key pair.")
@PASSPHRASE_FILE
@NO_APPLY
def ta_rotate_key(
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
    encrypt: bool,
    passphrase_file: Path | None,
    no_apply: bool,
) -> None:
    """Let the key pair in NEW_KEYPAIR_FILE take the place of the key OLD_KEY_ID of INSTANCE.

    The key pair is made where the file is not there; its key gets the old one's limits. New tokens of the tenants
    named go into files INSTANCE-TENANT.jwt. The old key then ends after --overlap, and the same command called after
    that removes it. Stopped at any time, the same command goes on; it says what is left to do.
    Without --scope a new token is for what the tenant's tokens of the old key were for, as far as they were issued here.
    """
    check_names(instance, tenants, None)
    rotation = Rotation(require(instance), provider_name, key_id, overlap, no_apply)
    if not keypair_file.exists():
        _require_old(rotation, instance)
        write_key_pair(keypair_file, bits, of_new_key(keypair_file, passphrase_file, ask=encrypt))
        note(f"{keypair_file} is the new key pair; keep it as you kept the old one")
    key = read_key_pair(keypair_file, reader(passphrase_file))
    signer = Signer(key)
    if signer.kid == key_id:
        raise UserError(f"{keypair_file} holds the old key itself; name a new file, and a key pair is made in it")
    if _is_over(rotation, signer.kid):
        rotation.apply()  # the update of the last step may have failed
        note(f"{instance} accepts {signer.kid} and no key {key_id}: nothing is left to do")
        return
    _require_old(rotation, instance)
    known = _issued_here(key_id, instance, rotation.file.config().data_api.revoked_tokens)
    grants = {
        _token_file(out_dir, instance, name): Grant(instance, name, seconds, scopes or _scopes_before(name, known))
        for name in tenants
    }
    left = _still_to_write(grants, signer.kid)
    _let_in(rotation, signer.kid, canonical_pem(key.public_key()))
    out_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, token in zip(left, issued(signer, list(left.values())), strict=True):
        write_secret(path, token.encode())
        allowed = ", ".join(left[path].scopes or ["everything"])
        note(f"{path} is a new token of the tenant {left[path].tenant}, for {allowed}: give it to its clients")
    _let_out(rotation)
    _tell_others(known, tenants)


def _token_file(folder: Path, instance: str, tenant: str) -> Path:
    return folder / f"{instance}-{tenant}.jwt"


def _is_over(rotation: Rotation, kid: str) -> bool:
    """Tell whether the new key has taken the old one's place in the file."""
    return kid in rotation.keys and rotation.old not in rotation.keys


def _require_old(rotation: Rotation, instance: str) -> None:
    """Raise `UserError` where there is no old key that a new one could take the place of."""
    there = list(rotation.keys)
    if rotation.old not in there:
        raise UserError(f"{instance} accepts no key {rotation.old}; it accepts {', '.join(there) or 'none'}")


def _still_to_write(grants: dict[Path, Grant], kid: str) -> dict[Path, Grant]:
    """Return the tokens whose files are not there yet; raises `UserError` where a file is something else."""
    left = {path: grant for path, grant in grants.items() if not path.exists()}
    for path, grant in grants.items():
        if path not in left and not _is_of(path, grant, kid):
            raise UserError(
                f"{path} is there already and holds no token of {grant.tenant} by the new key; it is not overwritten: "
                "name another folder by --out-dir, or move it away"
            )
    return left


def _is_of(path: Path, grant: Grant, kid: str) -> bool:
    try:
        token = read_token(path.read_text())
    except (TokenError, OSError, UnicodeDecodeError):
        return False
    wanted = {"aud": token_audience(grant.instance), "sub": token_subject(grant.tenant)}
    return token.kid == kid and all(token.claims.get(name) == value for name, value in wanted.items())


def _let_in(rotation: Rotation, kid: str, pem: str) -> None:
    """Let the new key in with the old one's limits, and apply that, unless the old one has its end already."""
    if kid not in rotation.keys:
        rotation.keys[kid] = key_entry(pem, replace(rotation.limits(), not_after=None))
    if rotation.ends() is None:
        rotation.apply()


def _let_out(rotation: Rotation) -> None:
    """Give the old key its end, or take it out where that is past; say what is left to do."""
    end = rotation.ends()
    if end is not None and end <= time.time():
        del rotation.keys[rotation.old]
        rotation.apply()
        note(f"the key {rotation.old} is out, and nothing is left to do")
        return
    if end is None:
        end = int(time.time()) + rotation.overlap
        pem = rotation.file.config().data_api.pems[rotation.old].strip()
        rotation.keys[rotation.old] = key_entry(pem, replace(rotation.limits(), not_after=end))
    rotation.apply()
    note(f"left to do: give the new tokens to their clients before {written(end)}, when the old key ends;")
    note("  after that, the same command once more takes the old key out of the list")


def _issued_here(kid: str, instance: str, revoked: Container[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the tokens of a key for an instance that were issued here and are good still, by their tenants."""
    now, found = written(time.time()), defaultdict(list)
    for entry in entries()[0]:
        good = entry["expires"] > now and entry["id"] not in revoked
        if good and entry["key"] == kid and entry["instance"] == instance:
            found[str(entry["tenant"])].append(entry)
    return found


def _scopes_before(tenant: str, known: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Scope, ...] | None:
    """Return what a tenant's tokens are for, all together; None, which is everything, where one is or none is known.

    Raises `UserError` where the list of what was issued here does not tell.
    """
    told = [str(entry.get("scope") or "").split() for entry in known.get(tenant, [])]
    if not all(told) or not told:
        return None
    found = tuple(scope for scope in SCOPES if any(scope in scopes for scopes in told))
    if not found:
        raise UserError(
            f"what the tokens of the tenant {tenant} are for, {told}, is nothing that there is; say it with --scope "
            f"(`--scope {','.join(SCOPES)}` is everything)"
        )
    return found


def _tell_others(known: Mapping[str, Sequence[Mapping[str, Any]]], tenants: Sequence[str]) -> None:
    """Say which tokens that were issued here end with the old key, beside one of each tenant that was named."""
    for tenant, there in sorted(known.items()):
        if tenant in tenants and len(there) == 1:
            continue  # the new one takes its place
        which = ", ".join(
            f"{entry.get('name') or entry['id']} ({entry.get('scope') or 'everything'})" for entry in there
        )
        one = "for which one new token was made" if tenant in tenants else "which you did not name"
        note(f"of the tenant {tenant}, {one}, these tokens end with the old key: {which}")
