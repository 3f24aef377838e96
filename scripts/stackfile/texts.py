"""Texts of files beside each other: as they are on the disk, and how two of them differ."""

import difflib
import io
from pathlib import Path

from components.core.errors import ConfigError


def text_on_disk(path: Path) -> str | None:
    """Return the text of a file, None where it does not exist; raises `ConfigError` where it is not UTF-8."""
    try:
        return path.read_bytes().decode() if path.exists() else None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not encoded in UTF-8: {error}; save it in that encoding") from error


def unified(name: str, before: str | None, after: str | None) -> str:
    """Return a unified diff of two texts of a file; None stands for a file that does not exist."""
    lines = [list(io.StringIO(text or "", newline="\n")) for text in (before, after)]
    names = ["/dev/null" if text is None else name for text in (before, after)]
    difference = difflib.unified_diff(lines[0], lines[1], names[0], names[1], n=2)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in difference)
