"""The output of a failed command: one line for an error of the user, a traceback for a fault of the command."""

import errno
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from components.core.errors import UserError
from scripts.ui.regular_files import REMEDIES, reason
from scripts.ui.terminal import stderr

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
REPORT = "error: this is a fault of opstrace, and nothing that you did; report it with the traceback above"


def report(error: Exception) -> None:
    """Print an error to stderr."""
    line = line_of(error)
    if line is None:
        traceback.print_exception(error)
        stderr.print(REPORT, markup=False)
    else:
        stderr.print(f"error: {line}", markup=False)


def line_of(error: Exception) -> str | None:
    """Return the line for an error that the user can put right, None for a fault of the command."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return _line_of_system(error)
    # botocore is not imported for its error types: most commands need no AWS, and start faster than it loads.
    if type(error).__module__.startswith("botocore."):
        return f"AWS refused a request: {error}"
    return None


def _line_of_system(error: OSError) -> str | None:
    """Return the line for an error of the system about the user's files or disk, None for any other."""
    path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes, os.PathLike)) else None
    if error.errno in NO_SPACE:
        return f"{path or 'the output'} cannot be written: {reason(error)}"
    if path and error.errno in REMEDIES and _is_users(Path(path), sys.argv[1:]):
        return f"{path}: {reason(error)}"
    return None


def _is_users(path: Path, arguments: Iterable[str]) -> bool:
    """Tell whether the user named the path, or its folder: by an argument, the working directory or the environment."""
    if not path.is_absolute():
        return True  # the command's own files have absolute paths
    values = [argument.partition("=")[2] if argument.startswith("--") else argument for argument in arguments]
    named = [Path(value).absolute() for value in values if value and not value.startswith("-")]
    return any(path.is_relative_to(place) for place in [*named, *_users_folders()])


def _users_folders() -> list[Path]:
    """Return the folders for which the user is responsible: that of stack files, and the state folder."""
    from localcloud.folders import state_folder  # noqa: PLC0415 slow to import, and rarely needed
    from scripts.stackfile.file import STACKS  # noqa: PLC0415 slow to import, and rarely needed

    return [STACKS, state_folder()]
