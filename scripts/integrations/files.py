"""The files of an integration: which are there already, and whether they may be replaced."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from cryptography.x509 import load_pem_x509_certificates

from components.core.errors import UserError
from localcloud.files import replace_whole, write_whole
from scripts.integrations.formats.text import id_in
from scripts.tokens.key_files import write_secret
from scripts.ui.new_files import existing_files
from scripts.ui.regular_files import read, reason

CA_NAME = "ca.pem"
READABLE, EXECUTABLE = 0o644, 0o755


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

    def write(self) -> None:
        """Write the file, or replace it by a move."""
        if not self.secret:
            write_whole(self.path, self.content, self.mode)
        elif self.path.exists():
            replace_whole(self.path, self.content)  # keeps its mode
        else:
            write_secret(self.path, self.content.encode())


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


def certificates_in(file: Path) -> str:
    """Return the content of a file with certificates; raises `UserError` where there are none."""
    try:
        content = read(file)[0]
        load_pem_x509_certificates(content)
        return content.decode()
    except OSError as error:
        raise UserError(f"--ca-file {file}: {reason(error)}") from error
    except ValueError as error:
        raise UserError(f"--ca-file {file}: it has no certificate in PEM form; name a file with the CA's") from error
