"""Aliases and merge keys of YAML: where a stack file has them, and how many values they stand for.

Both are read from the parser's events, which expand nothing. A small file therefore cannot fill the memory.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

HINT = re.compile(r"\*|<<|merge")  # a text without any of these has neither an alias nor a merge key
MERGE, MERGE_TAG = "<<", "tag:yaml.org,2002:merge"
MOST_NODES = 200_000  # more than fit into the 128 KiB that the engine passes on (see environment_size.py)

Path = tuple[str, ...]  # the keys above a node; a sequence adds an empty key


@dataclass(frozen=True)
class Alias:
    """An alias or a merge key: its line, counted from 1, and its text. `target` is the path of an alias's anchor."""

    line: int
    text: str
    path: Path
    target: Path = ()


class TooManyValuesError(ValueError):
    """The aliases stand for more values than a stack file can have, or one stands inside its own anchor."""


@dataclass
class _Frame:
    path: Path
    is_mapping: bool = False
    anchor: str | None = None
    key: str | None = None  # of the entry whose value is read next
    nodes: int = 1  # including those that aliases stand for


@dataclass
class _Walk:
    frames: list[_Frame] = field(default_factory=lambda: [_Frame(())])
    sizes: dict[str, int] = field(default_factory=dict)  # nodes below each anchor
    places: dict[str, Path] = field(default_factory=dict)

    def path(self) -> Path:
        """Return the path of the next node."""
        top = self.frames[-1]
        if len(self.frames) == 1:
            return ()
        return (*top.path, (top.key or "") if top.is_mapping else "")

    def take(self, event: Event) -> Iterator[Alias]:
        """Take the next event; yield it if it is an alias or a merge key."""
        path = self.path()
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            self.frames.append(_Frame(path, isinstance(event, MappingStartEvent), event.anchor))
            self._note_anchor(event.anchor, path)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            ended = self.frames.pop()
            self._count(ended.anchor, ended.nodes, "")
        elif isinstance(event, ScalarEvent):
            self._note_anchor(event.anchor, path)
            if self._is_key() and _is_merge(event):
                yield Alias(event.start_mark.line + 1, "<<:", (*path[:-1], MERGE))
            self._count(event.anchor, 1, MERGE if _is_merge(event) else event.value)
        elif isinstance(event, AliasEvent):
            line = event.start_mark.line + 1
            if event.anchor in self.places and event.anchor not in self.sizes:
                raise TooManyValuesError(f"line {line}: the alias *{event.anchor} stands inside its own anchor")
            yield Alias(line, f"*{event.anchor}", path, self.places.get(event.anchor, ()))
            self._count(None, self.sizes.get(event.anchor, 1), f"*{event.anchor}")

    def _is_key(self) -> bool:
        return self.frames[-1].is_mapping and self.frames[-1].key is None

    def _note_anchor(self, anchor: str | None, path: Path) -> None:
        if anchor is not None:
            self.places[anchor] = path
            self.sizes.pop(anchor, None)

    def _count(self, anchor: str | None, nodes: int, text: str) -> None:
        """Record the size of a node that ended. `text` is its text, if it is a key."""
        if anchor is not None:
            self.sizes[anchor] = nodes
        top = self.frames[-1]
        top.nodes += nodes
        if top.nodes > MOST_NODES:
            raise TooManyValuesError(f"its aliases stand for more than {MOST_NODES} values")
        if top.is_mapping:
            top.key = text if top.key is None else None


def _is_merge(event: ScalarEvent) -> bool:
    return event.tag == MERGE_TAG or (event.value == MERGE and event.tag is None and event.style is None)


def aliases_in(text: str) -> list[Alias]:
    """Return all aliases and merge keys of a document; raises `TooManyValuesError` and the parser's errors."""
    if not HINT.search(text):
        return []
    walk, aliases = _Walk(), list[Alias]()
    for event in YAML(typ="safe", pure=True).parse(text):
        aliases += walk.take(event)
    return aliases


def is_among_settings(alias: Alias, prefix: str) -> bool:
    """Tell whether an edit of settings below `config:` whose names begin with `prefix` can change the alias."""
    return _is_among(alias.path, prefix) or bool(alias.target and _is_among(alias.target, prefix))


def _is_among(path: Path, prefix: str) -> bool:
    if path[:1] == (MERGE,) or path == ("config",):
        return True
    return path[:1] == ("config",) and (":" not in path[1] or path[1].startswith(prefix))
