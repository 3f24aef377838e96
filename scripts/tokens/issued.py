"""The ledger of issued tokens: a list of the tokens that were issued on this machine.

It names the purpose of each token, but contains no token. It has one JSON object a line, in the user's state folder, readable by its owner alone. Lines are only added.
"""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.core.errors import UserError
from components.core.scopes import scope_claim
from components.core.timestamps import format_rfc3339, instant
from localcloud.folders import state_folder
from scripts.tokens.signing import Grant, Signer
from scripts.ui.regular_files import reason
from scripts.ui.terminal import note

NAME = "issued-tokens.jsonl"


def path() -> Path:
    """Return the path of the ledger."""
    return state_folder() / NAME


def _entry(kid: str, grant: Grant) -> dict[str, str | None]:
    return {
        "id": grant.id,
        "tenant": grant.tenant,
        "instance": grant.instance,
        "scope": None if grant.scopes is None else scope_claim(grant.scopes),
        "issued": format_rfc3339(grant.issued),
        "notBefore": None if grant.not_before is None else format_rfc3339(grant.not_before),
        "expires": format_rfc3339(grant.expires),
        "key": kid,
        "name": grant.name,
    }


def _keep_from_others(path: Path, at: Path | int, mode: int) -> None:
    """Set the mode of the ledger or its folder to `mode`, with a note, if other users have access.

    `at` is the path itself, or the handle of the open file.
    """
    current = stat.S_IMODE((os.fstat(at) if isinstance(at, int) else at.stat()).st_mode)
    if not current & 0o077:
        return
    os.chmod(at, mode)
    access = "change it: check what `ta-tokens-list` prints" if current & 0o022 else "read it"
    note(f"{path} had the mode {current:04o} and has {mode:04o} now; until now other users could {access}")


def _open(file: Path, flags: int) -> int:
    """Open the ledger and restore its modes; raises `UserError` if it can be another user's file."""
    _keep_from_others(file.parent, file.parent, 0o700)
    try:
        handle = os.open(file, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _untrusted(file, "it is a link") from error
        raise
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise _untrusted(file, "it is no regular file")
        if status.st_uid != os.geteuid():
            raise _untrusted(file, f"it belongs to the user {status.st_uid}")
        _keep_from_others(file, handle, 0o600)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _untrusted(file: Path, reason: str) -> UserError:
    return UserError(
        f"the ledger of issued tokens, {file}, is not used: {reason}, but it must be a regular file of yours. Move it away, "
        "and check its content"
    )


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    """Open the ledger, which is created if missing, and lock it until the block ends."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = _open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        # Not by filelock: it needs a second file, and its import adds 0.04 s to the 0.18 s that one token takes.
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def issued(signer: Signer, grants: Sequence[Grant]) -> list[str]:
    """Return the tokens of `grants`, in their order. The ledger has their entries before anybody has a token."""
    record(signer.kid, grants)
    return [signer.token(grant) for grant in grants]


def record(kid: str, grants: Sequence[Grant]) -> None:
    """Add a line for each grant, all or none; raises `UserError` if the ledger cannot be written."""
    lines = "".join(json.dumps(_entry(kid, grant)) + "\n" for grant in grants).encode()
    file = path()
    try:
        with _locked(file) as handle:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # a command was killed while it wrote its line
                lines = b"\n" + lines
            try:
                _write_all(handle, lines)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)
                raise
    except OSError as error:
        raise UserError(
            f"the ledger of issued tokens, {file}, cannot be written: {error.strerror}; set XDG_STATE_HOME to a folder that you "
            "can write, or use --no-ledger. Then only the token itself has its id"
        ) from error


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def entries() -> tuple[list[dict[str, Any]], int]:
    """Return the ledger's entries, oldest first, and the number of invalid lines. A missing ledger is empty.

    Raises `UserError` if it cannot be read.
    """
    file = path()
    try:
        with os.fdopen(_open(file, os.O_RDONLY), errors="replace") as opened:
            lines = opened.read().split("\n")
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise UserError(f"the ledger of issued tokens, {file}, cannot be read: {reason(error)}") from error
    valid = [entry for line in lines if line.strip() and (entry := _decoded(line)) is not None]
    return valid, sum(1 for line in lines if line.strip()) - len(valid)


def _decoded(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    needed = ("id", "tenant", "instance", "expires", "key")
    if not isinstance(entry, Mapping) or not all(isinstance(entry.get(name), str) for name in needed):
        return None
    try:
        instant(entry["expires"])
    except ValueError:
        return None
    return dict(entry)


def chosen(listed: Iterable[Mapping[str, Any]], instance: str | None, tenant: str | None) -> list[Mapping[str, Any]]:
    """Return the entries of an instance and a tenant; None stands for all."""
    return [entry for entry in listed if instance in (None, entry["instance"]) and tenant in (None, entry["tenant"])]
