"""Comments of YAML, attached to the entry below them.

ruamel.yaml attaches comment lines to the value above them. Removing an entry would remove the next entry's comment, and
a new entry would separate the two. Comments above the first item of a sequence belong to the sequence.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString
from ruamel.yaml.tokens import CommentToken

# Indexes into ruamel.yaml's list of an entry's comments: those before it, and those above a collection's first entry.
BEFORE, FIRST = 1, 3


def _after(parent: Any) -> int:
    return 2 if isinstance(parent, CommentedMap) else 0


def _keys(node: Any) -> list[Any]:
    """Return the keys of a collection, without those that `<<` merges into it."""
    return [key for key, _ in node.non_merged_items()] if isinstance(node, CommentedMap) else [*range(len(node))]


@dataclass(frozen=True)
class Entry:
    """A line of a block mapping or of a block sequence."""

    parent: Any
    key: Any

    @property
    def value(self) -> Any:
        """The entry's value."""
        return self.parent[self.key]

    def comments(self) -> list[Any]:
        """Return the comments of the entry itself, to be changed in place."""
        return self.parent.ca.items.setdefault(self.key, [None] * 4)  # type: ignore[no-any-return]  # ruamel.yaml does not type `ca`


def _entries(node: Any) -> Iterator[Entry]:
    """Yield each entry of a document in the order of lines."""
    if node.fa.flow_style():
        return
    for key in _keys(node):
        entry = Entry(node, key)
        yield entry
        if isinstance(entry.value, CommentedMap | CommentedSeq):
            yield from _entries(entry.value)


def _take_lines_below(entry: Entry) -> list[CommentToken]:
    """Remove and return the comment lines below an entry. A comment on its own line stays."""
    comments, place = entry.comments(), _after(entry.parent)
    token = comments[place]
    if token is None:
        return []
    if isinstance(entry.value, LiteralScalarString | FoldedScalarString):  # its text ends with a line break
        own, below = "", " " * token.start_mark.column + token.value
    else:
        own, below = token.value.split("\n", 1)
    comments[place] = CommentToken(f"{own}\n", token.start_mark) if own else None
    return [_token(line) for line in below.splitlines()]


def _token(line: str) -> CommentToken:
    text = line.lstrip(" ")
    return CommentToken(f"{text}\n", CommentMark(len(line) - len(text)))


def _take_first_lines(entry: Entry) -> list[CommentToken]:
    """Remove and return the comment lines between the key of a mapping and its first entry."""
    head = entry.value.ca.comment
    if not head or not head[1]:
        return []
    lines, head[1] = head[1], None
    entry.comments()[FIRST] = None
    return list(lines)


def _put_above(entry: Entry, lines: list[CommentToken]) -> None:
    comments = entry.comments()
    comments[BEFORE] = lines + (comments[BEFORE] or [])


def attach_to_entry_below(document: Any) -> None:
    """Attach each comment line to the entry below it, and those at the end to the document."""
    entries = [*_entries(document)]
    for entry in entries:
        if isinstance(entry.value, CommentedMap) and not entry.value.fa.flow_style() and _keys(entry.value):
            _put_above(Entry(entry.value, _keys(entry.value)[0]), _take_first_lines(entry))
    for number, entry in enumerate(entries):
        lines = _take_lines_below(entry)
        if lines and number + 1 < len(entries):
            _put_above(entries[number + 1], lines)
        elif lines:
            document.ca.comment = document.ca.comment or [None, []]  # without this, ruamel.yaml does not write the end
            document.ca.end = lines


def _unmerged(value: CommentedMap) -> CommentedMap:
    """Return a mapping with the entries that `<<` merges into it as its own. The copy's file has no such anchor."""
    if len(_keys(value)) == len(value):
        return value
    unmerged = CommentedMap(value)
    unmerged.ca.items.update({key: value.ca.items[key] for key in _keys(value) if key in value.ca.items})
    return unmerged


def copied(source: Any, key: Any, columns: int, *, without: str = "") -> tuple[Any, list[CommentToken]]:
    """Return a copy of a block mapping that is an entry, and of the comment lines above it.

    Both are moved `columns` to the right. The key `without` is left out. Its comments, and the one beside the entry,
    are added to the lines above.
    """
    value, comments = copy.deepcopy((_unmerged(source[key]), Entry(source, key).comments()))
    above, beside = [*(comments[BEFORE] or [])], [comments[_after(source)]]
    if without in value:
        comments = Entry(value, without).comments()
        above += comments[BEFORE] or []
        beside.append(comments[_after(value)])
        value.pop(without)
        del value.ca.items[without]
    above += [CommentToken(token.value, CommentMark(source.lc.col)) for token in beside if token]
    for token in [*above, *(token for entry in _entries(value) for token in entry.comments()[BEFORE] or [])]:
        token.start_mark.column = max(0, token.start_mark.column + columns)
    return value, above


def put(target: Any, key: Any, value: Any, above: list[CommentToken]) -> None:
    """Insert `value` as an entry with these comment lines above it. A sequence gets it before the item at `key`."""
    if isinstance(target, CommentedSeq):
        target.insert(key, value)
    else:
        target[key] = value
    _put_above(Entry(target, key), above)
