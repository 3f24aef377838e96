"""Text files that are edited: as they are on the disk, and what has changed since an edit began."""

import difflib
import io
from pathlib import Path

from components.core.errors import ConfigError
from localcloud.files import replace_whole


class TextFile:
    """A text file, as it was when an edit began and when it was last written. `text` is None where it did not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.text = self._first = text_on_disk(path)

    def has_changed(self) -> bool:
        """Tell whether another program changed the file since it was read."""
        return text_on_disk(self._path) != self.text

    def difference(self, text: str) -> str:
        """Return what `text` would change in the file, as a unified diff; empty if there is nothing."""
        return unified(self._path.name, self.text, text)

    def change(self) -> str:
        """Return the changes since the edit began, as a unified diff; empty if there are none."""
        return unified(self._path.name, self._first, text_on_disk(self._path))

    def write(self, text: str) -> None:
        """Replace the file atomically."""
        replace_whole(self._path, text)
        self.text = text


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
