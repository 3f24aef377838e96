"""Reading a stack file that nothing edits: by libyaml, in a tenth of the time that ruamel.yaml takes.

ruamel.yaml also keeps comments and styles, which edits alone need. The two differ in rare forms of YAML: libyaml follows
version 1.1, and ruamel.yaml version 1.2. A text with such a form is left to ruamel.yaml, as is one that is refused, so that
the text of an error does not depend on the reader.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

# Tabs, carriage returns, characters that do not print, and those that end a line in YAML 1.1 alone.
ODD = re.compile(r"[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
NUMBER = re.compile(r"[-+]?\.?[0-9](?:[\w.:/+-]*[\w./+-])?")  # or a date
NO_TEXT = tuple("-+.0123456789<=")  # the first characters of other plain scalars that may not be texts
MOST_LEVELS = 50
IN_FLOW = re.compile(r"[\w./+ -]*")  # plain scalars that both versions end at the same character


class UnsureError(Exception):
    """Both readers may take a text for something else."""


def content_of(text: str) -> Any:
    """Return the document in a text as dicts, lists and scalars. Numbers are those of ruamel.yaml.

    Raises `UnsureError` where ruamel.yaml has to read it.
    """
    if ODD.search(text):
        raise UnsureError
    events = yaml.parse(text, yaml.CSafeLoader)
    try:
        _take(events, yaml.StreamStartEvent)
        start = _take(events, yaml.DocumentStartEvent)
        if start.version or start.tags:
            raise UnsureError
        content = _built(events, next(events))
        _take(events, yaml.DocumentEndEvent)
        _take(events, yaml.StreamEndEvent)
    except (yaml.YAMLError, RecursionError) as error:
        raise UnsureError from error
    return content


def _take(events: Iterator[Any], kind: type) -> Any:
    event = next(events)
    if not isinstance(event, kind):
        raise UnsureError
    return event


def _built(events: Iterator[Any], event: Any, *, in_flow: bool = False, level: int = 0) -> Any:
    """Return the value that begins with `event`."""
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None or event.tag is not None or level > MOST_LEVELS:
        raise UnsureError
    if isinstance(event, yaml.ScalarEvent):
        return _styled(event) if event.style else _plain(event.value, in_flow=in_flow)
    in_flow = in_flow or event.flow_style
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(events, in_flow=in_flow, level=level)
    values = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        # `[a: 1]` is a mapping without braces, where the two differ.
        if in_flow and isinstance(event, yaml.MappingStartEvent):
            raise UnsureError
        values.append(_built(events, event, in_flow=in_flow, level=level + 1))
    return values


def _mapping(events: Iterator[Any], *, in_flow: bool, level: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if not isinstance(event, yaml.ScalarEvent):
            raise UnsureError
        key = _built(events, event, in_flow=in_flow)
        if key in found:
            raise UnsureError
        found[key] = _built(events, next(events), in_flow=in_flow, level=level + 1)
    return found


def _styled(event: Any) -> str:
    """Return the value of a quoted scalar, or of a block scalar."""
    # ruamel.yaml refuses some block scalars that begin so, or reads them otherwise.
    if event.style in "|>" and event.value[:1] in ("", "\n", " "):
        raise UnsureError
    return str(event.value)


def _plain(value: str, *, in_flow: bool) -> Any:
    """Return the value of a scalar without quotes."""
    if in_flow and not IN_FLOW.fullmatch(value):
        raise UnsureError
    if value in WORDS:
        return WORDS[value]
    return _number(value) if value.startswith(NO_TEXT) else value


@lru_cache(maxsize=1024)
def _number(value: str) -> Any:
    """Return a number or a date as ruamel.yaml reads it, or the text if it is none."""
    if not NUMBER.fullmatch(value):
        raise UnsureError
    try:
        return YAML().load(f"- {value}\n")[0]
    except (YAMLError, ValueError, TypeError, AttributeError, IndexError) as error:  # as for a date in month 13
        raise UnsureError from error
