"""The lines of a stack file: an edit keeps every line that it does not change, byte for byte.

ruamel.yaml writes a document in its own style: it drops what stands before `---`, changes indents and ends all lines
alike. Here the change between two documents in that style is applied to the text as the user wrote it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

BOM = "\ufeff"
_HEADER = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n|%[^\n]*\n)*---[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_NO_CONTENT = re.compile(r"(?:[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))*\Z")
_LIST_BELOW_KEY = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)- ", re.MULTILINE)
_KEY_BELOW_KEY = re.compile(r"^[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( +)[^\s#-]", re.MULTILINE)


def split_header(text: str) -> tuple[str, str]:
    """Return what stands before a document, `---` included, and the document.

    The header holds a byte order mark, directives such as `%YAML` and comments. The engine ignores the version that
    `%YAML` names, so a reader of the document alone reads what the engine reads.
    """
    mark = BOM if text.startswith(BOM) else ""
    rest = text.removeprefix(BOM)
    found = _HEADER.match(rest) or _NO_CONTENT.match(rest)
    end = len(mark) + (found.end() if found else 0)
    return text[:end], text[end:]


def with_plain_ends(text: str) -> str:
    """Return the text with line feeds alone at its line ends."""
    return text.replace("\r\n", "\n")


def indents(text: str) -> tuple[int, int]:
    """Return by how many columns a document indents mappings, and the dashes of lists below their keys."""
    inner, outer = _LIST_BELOW_KEY.search(text), _KEY_BELOW_KEY.search(text)
    offset = max(0, len(inner[2]) - len(inner[1])) if inner else 2
    return len(outer[1]) if outer else 2, offset


def patched(original: str, before: str, after: str) -> str:
    """Return `original` with the change from `before` to `after`, two texts in the style of ruamel.yaml.

    `before` is the document of `original`. Where the change touches lines that `before` writes in another style, these
    lines are taken from `after`. New lines end as most lines of `original` do.
    """
    end = _line_end(original)
    own, old, new = _lines(original), _lines(before), _lines(after)
    result: list[str] = []
    for lines, is_own in _merged(own, old, new):
        added = lines if is_own else [line.removesuffix("\n") + end for line in lines]
        if added and result and not result[-1].endswith("\n"):
            result[-1] += end
        result += added
    return "".join(result)


def with_ends_of(original: str, text: str) -> str:
    """Return `text` with its lines ended as most lines of `original` are."""
    return text.replace("\n", _line_end(original))


def _line_end(text: str) -> str:
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


def _lines(text: str) -> list[str]:
    """Return the lines with their ends; only a line feed ends a line, as in the parser's count."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


@dataclass(order=True, frozen=True)
class _Change:
    """The lines `start` to `end` of the old text, and how many lines another text has in their place."""

    start: int
    end: int
    is_own: bool  # of the user's text, not of the new one. Of two at one place, the new lines come first
    count: int


@dataclass
class _Region:
    """Changes of either text that overlap: the lines `start` to `end` of the old text."""

    start: int
    end: int
    changes: list[_Change]

    def grow(self, *, is_own: bool) -> int:
        """Return by how many lines one text is longer here than the old one."""
        return sum(change.count - change.end + change.start for change in self.changes if change.is_own is is_own)


def _changes(old: list[str], other: list[str], *, is_own: bool) -> list[_Change]:
    head, tail, shorter = 0, 0, min(len(old), len(other))
    while head < shorter and old[head] == other[head]:
        head += 1
    while tail < shorter - head and old[-1 - tail] == other[-1 - tail]:
        tail += 1
    matcher = SequenceMatcher(None, old[head : len(old) - tail], other[head : len(other) - tail], autojunk=False)
    changes: list[_Change] = []
    for tag, old_start, old_end, start, end in matcher.get_opcodes():
        if tag == "replace" and old_end - old_start == end - start:  # lines in another style, each in its place
            changes += [_Change(line, line + 1, is_own, 1) for line in range(head + old_start, head + old_end)]
        elif tag != "equal":
            changes.append(_Change(head + old_start, head + old_end, is_own, end - start))
    return changes


def _regions(changes: list[_Change]) -> list[_Region]:
    regions: list[_Region] = []
    for change in sorted(changes):
        last = regions[-1] if regions else None
        if last and change.start < last.end and last.start < max(change.end, change.start + 1):
            last.end = max(last.end, change.end)
            last.changes.append(change)
        else:
            regions.append(_Region(change.start, change.end, [change]))
    return regions


def _merged(own: list[str], old: list[str], new: list[str]) -> Iterator[tuple[list[str], bool]]:
    """Yield parts of the result in their order, and whether each is of the user's text `own`."""
    plain = [line.removesuffix("\n").removesuffix("\r") + "\n" for line in own]
    changes = _changes(old, plain, is_own=True) + _changes(old, new, is_own=False)
    at, own_shift, new_shift = 0, 0, 0
    for region in _regions(changes):
        yield own[at + own_shift : region.start + own_shift], True
        own_grow, new_grow = region.grow(is_own=True), region.grow(is_own=False)
        if all(change.is_own for change in region.changes):
            yield own[region.start + own_shift : region.end + own_shift + own_grow], True
        else:
            yield new[region.start + new_shift : region.end + new_shift + new_grow], False
        at, own_shift, new_shift = region.end, own_shift + own_grow, new_shift + new_grow
    yield own[at + own_shift :], True
