"""A disk without room for some files: creating one of them fails with the system's error."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def fill_disk(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let no file of this name be created, until `patch` is undone."""
    real: Any = os.open

    def opened(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & os.O_CREAT and isinstance(path, (str, os.PathLike)) and Path(path).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return int(real(path, flags, *arguments, **options))

    patch.setattr(os, "open", opened)
