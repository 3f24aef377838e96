"""The list of revoked tokens: in the stack file while it is short, in a file of its own when it is long.

The engine passes all settings to the program in one environment variable, and Linux allows 128 KiB for that.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from scripts.stackfile.document import quoted
from scripts.stackfile.texts import TextFile

LONGEST_INLINE = 200  # entries in the stack file, about 70 bytes each
FIELD = "revokedTokens"
HEADER = "# Ids of revoked tokens and their ends; `ta-revoke-token` writes them.\n"


def list_path(folder: Path, instance: str) -> Path:
    """Return the path of an instance's own file of revoked tokens."""
    return folder / f"revoked-tokens.{instance}.txt"


class ListFile:
    """The file of a long list, and the text that `write` writes, None for no change."""

    def __init__(self, path: Path) -> None:
        self.text: str | None = None
        self._path = path
        self._file: TextFile | None = None

    def begin(self) -> None:
        """Remember the file as it is, when an edit reads it first."""
        self._file = self._file or TextFile(self._path)

    def has_changed(self) -> bool:
        """Tell whether another program changed the file that `write` would write since the edit began."""
        return self._file is not None and self.text is not None and self._file.has_changed()

    def difference(self) -> str:
        """Return the changes that `write` makes as a unified diff; empty if there are none."""
        return "" if self._file is None or self.text is None else self._file.difference(self.text)

    def change(self) -> str:
        """Return the changes since the edit began, as a unified diff; empty if there are none."""
        return "" if self._file is None else self._file.change()

    def write(self) -> None:
        """Replace the file atomically, if its text has changed."""
        if self._file is not None and self.text is not None:
            self._file.write(self.text)


def replace(data_api: Any, entries: Mapping[str, str], file: Path) -> str | None:
    """Replace the list in the mapping `dataApi` by `entries`, ids to ends.

    Returns the text of `file` if the list belongs there: when it is long, or when it was there before.
    """
    if len(entries) > LONGEST_INLINE or isinstance(data_api.get(FIELD), str):
        data_api[FIELD] = file.name
        return HEADER + "".join(f"{token_id} {end}\n" for token_id, end in entries.items())
    listed = data_api.setdefault(FIELD, CommentedMap())
    for token_id in [*listed]:  # in place, so that comments stay
        if token_id not in entries:
            del listed[token_id]
    for token_id, end in entries.items():
        if token_id not in listed or str(listed[token_id]) != end:
            listed[quoted(token_id)] = quoted(end)
    return None
