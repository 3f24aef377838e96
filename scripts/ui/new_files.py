"""Files that a command writes into a folder of the user's choice."""

import os
from collections.abc import Iterable
from pathlib import Path

from components.core.errors import UserError
from scripts.ui.regular_files import reason


def require_folder(folder: Path, other: str) -> None:
    """Create a folder if it is missing; raises `UserError` where no file can be written there.

    `other` is how the user names another folder, such as `--output`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made: {reason(error)}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"the folder {folder} cannot be written; allow it for your user, or name another with {other}")


def existing_files(paths: Iterable[Path], other: str) -> list[Path]:
    """Return those of `paths` that exist; raises `UserError` where one is no regular file, and must not be replaced."""
    existing = [path for path in paths if path.exists() or path.is_symlink()]
    links = [path for path in existing if path.is_symlink() or not path.is_file()]
    if links:
        raise UserError(f"{links[0]} is no regular file, and is not replaced; move it away, or name another {other}")
    return existing
