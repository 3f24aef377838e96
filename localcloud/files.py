"""Atomic writes: readers never see half a file, and a secret never has a wide mode."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def is_script(path: Path) -> bool:
    """Tell whether `path` exists and is a script: our launchers are scripts, the official programs are not."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def write_beside(path: Path, content: str | bytes, mode: int = 0o644, owner: tuple[int, int] | None = None) -> Path:
    """Write a new hidden file in the folder of `path`, to be moved there; return its path.

    It has `mode` from its first byte on. Where possible, it belongs to `owner`, the ids of a user and a group.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if owner is not None:
                with contextlib.suppress(PermissionError):  # only root gives files to others
                    os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return Path(partial)


def write_whole(path: Path, content: str | bytes, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` by a move; `mode` and `owner` are as for `write_beside`."""
    partial = write_beside(path, content, mode, owner)
    try:
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def replace_whole(path: Path, content: str | bytes) -> None:
    """Replace a user's file by a move; a link stays a link. The file keeps its mode, and its owner where possible."""
    target = path.resolve()
    before = target.stat() if target.exists() else None
    if before is None:
        write_whole(target, content)
    else:
        write_whole(target, content, stat.S_IMODE(before.st_mode), (before.st_uid, before.st_gid))
