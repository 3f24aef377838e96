"""Writing files so that no reader ever sees half of one, and secrets never with a wide mode."""

import os
import tempfile
from pathlib import Path


def is_script(path: Path) -> bool:
    """Tell whether `path` is there and is a script: our launchers are, the official programs are not."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def write_whole(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Replace `path` by a move; the file has `mode` from its first byte on."""
    data = content.encode() if isinstance(content, str) else content
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
