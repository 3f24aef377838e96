"""Markdown: literal text, and tables."""

import re
from collections.abc import Iterable, Sequence


def escape(text: str) -> str:
    """Return a text that Markdown shows literally, except for its code spans, which stay code.

    Outside of code spans, `<` would begin an HTML tag and `*` an emphasis.
    """
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<*])", r"\\\1", part) for part in parts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table. Line breaks in cells become spaces; a `|` in a cell is escaped."""
    return [_row(header), _row(["---"] * len(header)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    texts = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(texts)} |"
