"""The administrator's own list of the tokens that were issued here: what each is for, never the token.

One JSON object a line, in the user's state folder, readable by its owner alone. Lines are only added.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.access import scope_claim
from components.errors import UserError
from components.instants import written
from scripts.folders import state_folder
from scripts.signing import Grant, Signer

NAME = "issued-tokens.jsonl"


def path() -> Path:
    """Return the ledger's file."""
    return state_folder() / NAME


def _entry(kid: str, grant: Grant) -> dict[str, str | None]:
    return {
        "id": grant.id,
        "tenant": grant.tenant,
        "instance": grant.instance,
        "scope": None if grant.scopes is None else scope_claim(grant.scopes),
        "issued": written(grant.issued),
        "notBefore": None if grant.not_before is None else written(grant.not_before),
        "expires": written(grant.expires),
        "key": kid,
        "name": grant.name,
    }


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    """Open the ledger, make it where there is none, and keep other commands from it until the block ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def issued(signer: Signer, grants: Sequence[Grant]) -> list[str]:
    """Return the tokens of `grants`, in their order, each written into the ledger before anybody has it."""
    record(signer.kid, grants)
    return [signer.token(grant) for grant in grants]


def record(kid: str, grants: Sequence[Grant]) -> None:
    """Add a line for each grant, all or none; raises `UserError` where the ledger cannot be written."""
    lines = "".join(json.dumps(_entry(kid, grant)) + "\n" for grant in grants).encode()
    file = path()
    try:
        with _locked(file) as handle:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # the line of a command that was killed in it
                lines = b"\n" + lines
            try:
                _write_all(handle, lines)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)
                raise
    except OSError as error:
        raise UserError(
            f"the list of issued tokens, {file}, cannot be written: {error.strerror}; let XDG_STATE_HOME name a folder "
            "that can be, or give --no-ledger: then nothing but the token itself tells its id"
        ) from error


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def entries() -> tuple[list[dict[str, Any]], int]:
    """Return the ledger's entries, oldest first, and how many lines are none; an absent ledger is empty.

    Raises `UserError` where it cannot be read.
    """
    file = path()
    try:
        lines = file.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise UserError(f"the list of issued tokens, {file}, cannot be read: {error.strerror}") from error
    found = [entry for line in lines if line.strip() and (entry := _decoded(line)) is not None]
    return found, sum(1 for line in lines if line.strip()) - len(found)


def _decoded(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    needed = ("id", "tenant", "instance", "expires", "key")
    good = isinstance(entry, Mapping) and all(isinstance(entry.get(name), str) for name in needed)
    return dict(entry) if good else None


def chosen(found: Iterable[Mapping[str, Any]], instance: str | None, tenant: str | None) -> list[Mapping[str, Any]]:
    """Return the entries of an instance and of a tenant, where these are given."""
    return [entry for entry in found if instance in (None, entry["instance"]) and tenant in (None, entry["tenant"])]
