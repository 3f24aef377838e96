"""The files of an integration: which are there already, and whether they may be replaced."""

import fcntl
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import click
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from components.core.errors import UserError
from localcloud.files import write_beside
from scripts.integrations.formats.text import id_in
from scripts.ui.new_files import existing_files
from scripts.ui.regular_files import read, reason
from scripts.ui.terminal import note

CA_NAME = "ca.pem"
READABLE, RUNNABLE, OWNER_ALONE = 0o644, 0o755, 0o600


@dataclass(frozen=True)
class NewFile:
    """A file to write. `secret`: only its owner may read it."""

    path: Path
    content: str
    secret: bool = False
    mode: int = READABLE

    def is_there(self) -> bool:
        """Tell whether the file exists with this content."""
        try:
            return self.path.read_bytes() == self.content.encode()
        except OSError:
            return False

    def write_beside(self) -> Path:
        """Write the content into a hidden file beside the path; a secret keeps the mode and owner of the file before."""
        mode, owner = self.mode, None
        if self.secret:
            before = self.path.stat() if self.path.exists() else None
            mode = OWNER_ALONE if before is None else stat.S_IMODE(before.st_mode)
            owner = None if before is None else (before.st_uid, before.st_gid)
        try:
            for left in self.path.parent.glob(f".{self.path.name}-????????"):  # by a command that was killed
                left.unlink()
            return write_beside(self.path, self.content, mode, owner)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written, and no file is changed: {reason(error)}") from error


class Staging:
    """Files that are written beside their places, and moved there together. Without `move`, none is changed."""

    def __init__(self) -> None:
        self._moves: list[tuple[Path, Path]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for partial, _path in self._moves:
            partial.unlink(missing_ok=True)

    def add(self, files: Iterable[NewFile]) -> None:
        """Write files beside their places; raises `UserError`."""
        for file in files:
            self._moves.append((file.write_beside(), file.path))

    def move(self) -> None:
        """Move all files to their places, the last one first: a client finds the files that its configuration names.

        Raises `UserError` for a file that cannot be replaced, such as a mount point of a container.
        """
        moved: list[Path] = []
        for partial, path in reversed(self._moves):
            try:
                partial.replace(path)
            except OSError as error:
                changed = f"{', '.join(map(str, moved))} is changed already" if moved else "no file is changed"
                raise UserError(f"{path} cannot be replaced, and {changed}: {reason(error)}") from error
            moved.append(path)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let no other command write its files into the folder until the block ends."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"Waiting for another command that writes into {folder}.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def current_id(paths: Sequence[Path]) -> str | None:
    """Return the integration ID of those files that exist, None if `write` has not made all of them for one integration."""
    found = {_id_of(path) for path in paths if path.exists()}
    return found.pop() if len(found) == 1 else None


def _id_of(path: Path) -> str | None:
    try:
        return id_in(path.read_text())
    except (OSError, UnicodeDecodeError):
        return None


def require_replaceable(paths: list[Path], found_id: str | None, wanted_id: str | None, *, force: bool) -> None:
    """Ask whether existing files may be replaced, unless they are of the same integration, or `force` is set.

    Raises `UserError` where there is no terminal to ask.
    """
    existing = existing_files(paths, "--output")
    if not existing or force or (found_id is not None and found_id == wanted_id):
        return
    names = ", ".join(map(str, existing))
    update = f"to update the integration there, use --id {found_id}; " if found_id else ""
    if not sys.stdin.isatty():
        raise UserError(f"{names} exists already; {update}to replace it, use --force; or name another --output")
    click.confirm(f"{names} exists already. Replace it?", abort=True, err=True)


def certificates_in(file: Path, name: str = "--ca-file") -> str:
    """Return the certificates in a file, without what else is there, such as a key; raises `UserError` for none.

    `name` tells in errors where the file was named.
    """
    try:
        content = read(file)[0]
        certificates = load_pem_x509_certificates(content)
    except OSError as error:
        raise UserError(f"{name} {file}: {reason(error)}") from error
    except ValueError as error:
        raise UserError(f"{name} {file}: it has no certificate in PEM form; name a file with the CA's") from error
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)
