"""The YAML of a stack file: read and changed with its comments, order and quotes kept."""

import io
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from components.config import engine_values
from components.config.load import refused
from components.config.stack import PREFIX
from components.core.errors import ConfigError, UserError
from scripts.stackfile import aliases, comments, engine_view, lines, plain_reader

SCHEMA_LINE = "# yaml-language-server: $schema=opstrace.schema.json\n"


def round_trip(mapping: int = 2, offset: int = 2) -> YAML:
    """Return a reader and writer of YAML that keeps comments, order and quotes; it writes with these indents."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    return yaml


def literal(value: Any) -> Any:
    """Return `value` with texts of several lines as YAML block literals, which are easy to read."""
    if isinstance(value, Mapping):
        return CommentedMap({key: literal(entry) for key, entry in value.items()})
    if isinstance(value, list):
        return [literal(entry) for entry in value]
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value


def quoted(text: str) -> Any:
    """Return `text` as quoted YAML text. Readers differ in which unquoted texts are dates or numbers."""
    return DoubleQuotedScalarString(text)


def comparable(value: Any) -> str:
    """Return a text that is equal for equal settings."""
    return json.dumps(value, default=str, sort_keys=True)


class Document:
    """The document of the stack file at `path`, changed in memory; `text` None stands for a new file.

    `defaults` are the settings that Pulumi.yaml has for all stacks. What edits need besides the values takes ten times as
    long to read, so it is read with the first edit.
    """

    def __init__(self, path: Path, text: str | None, defaults: Mapping[str, Any] | None = None) -> None:
        self._path, self._defaults = path, defaults or {}
        self._header, self._body = (SCHEMA_LINE, "") if text is None else lines.split_header(text)
        self._is_new = text is None
        self._aliases: list[aliases.Alias] = []
        self._values = self._read_values()
        if text is not None:
            section = self.require_mapping(self._to_read.get("config", {}), "config:")
            self._require_clear(section)

    def _read_values(self) -> Any:
        """Return the values without comments and styles, None where these have to be read with them."""
        try:
            content = plain_reader.content_of(self._body)
        except plain_reader.UnsureError:
            return None
        return self.require_mapping(content or {}, "the file")

    @cached_property
    def _content(self) -> Any:
        """The document with comments and styles, to be changed in place."""
        return CommentedMap() if self._is_new else self._loaded(self._header + self._body)

    @property
    def _to_read(self) -> Any:
        """The document, with its edits."""
        return self._content if self._values is None or "_content" in vars(self) else self._values

    def _require_clear(self, section: Mapping[Any, Any]) -> None:
        """Raise `ConfigError` where commands and the engine would read different values."""
        found = engine_values.problems(section)
        if found:
            raise refused(found, self._path.name.removeprefix("Pulumi.").removesuffix(".yaml"))

    def _loaded(self, text: str) -> Any:
        try:
            self._aliases = aliases.aliases_in(text)
            content = _content_of(text) or CommentedMap()
        except aliases.TooManyValuesError as error:
            raise ConfigError(f"{self._path}: {error}; write each value out at the place that uses it") from error
        # ruamel.yaml passes errors of Python on, for example for a date in month 13.
        except (YAMLError, ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise ConfigError(f"{self._path} is not valid YAML: {error}") from error
        self.require_mapping(content, "the file")
        comments.attach_to_entry_below(content)
        return content

    @property
    def section(self) -> Any:
        """The mapping `config:` itself, to be changed in place."""
        return self._content.setdefault("config", CommentedMap())

    def settings(self) -> dict[str, Any]:
        """Return the settings under `opstrace:`, without that prefix, as plain values."""
        return self._settings_in(self._to_read)

    def _settings_in(self, content: Any) -> dict[str, Any]:
        return engine_view.settings_in(content.get("config", {}), self._defaults)

    def key(self, name: str) -> str:
        """Return the key of a setting in the file: the one that it has there, or the one that it would get."""
        keys = (key for key in self.section if engine_values.setting_name(key) == name)
        return next(keys, PREFIX + name)

    def to_edit(self, name: str) -> Any:
        """Return the value of a setting itself, to be changed in place, None where there is none.

        A JSON text becomes YAML. Raises `UserError` where Pulumi.yaml has the value, for all stacks.
        """
        key = self.key(name)
        if key not in self.section and name in self._defaults:
            raise UserError(
                f"{PREFIX}{name} stands in Pulumi.yaml, for all stacks; copy it into {self._path.name}, then run this again"
            )
        value = self.section.get(key)
        if isinstance(value, str) and isinstance(decoded := engine_values.engine_value(name, str(value)), dict | list):
            value = self.section[key] = literal(decoded)
        return value

    def text(self) -> str:
        """Return the document as YAML; of a file that exists, each line that no change touches is as it was."""
        after = self._written(self._content)
        if self._is_new:
            return self._header + after
        before = self._written(self._loaded(self._header + self._body))
        patched = self._header + lines.patched(self._body, before, after)
        if before == lines.with_plain_ends(self._body) or self._reads_back(patched):
            return patched
        return self._header + lines.with_ends_of(self._body, after)

    def _written(self, content: Any) -> str:
        text = io.StringIO()
        round_trip(*lines.indents(lines.with_plain_ends(self._body))).dump(content, text)
        return text.getvalue()

    def _reads_back(self, text: str) -> bool:
        try:
            return not self.misread_settings(text)
        except (YAMLError, ValueError, TypeError, AttributeError):
            return False

    def value(self, key: str) -> str | None:
        """Return the value of a key of the document itself, None if it has none."""
        value = self._to_read.get(key)
        return None if value is None else str(value)

    def drop(self, key: str) -> None:
        """Remove a key of the document itself, if it exists."""
        self._content.pop(key, None)

    def require_mapping(self, value: Any, name: str) -> Any:
        """Return `value`; raises `ConfigError` unless it is a mapping."""
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"{self._path}: {name} must hold `name: value` lines, but holds {value!r}; fill it in or remove it"
            )
        return value

    def alias_among_settings(self) -> aliases.Alias | None:
        """Return the first alias or merge key that an edit of settings could change, None if there is none."""
        return next((alias for alias in self._aliases if aliases.is_among_settings(alias, PREFIX)), None)

    def misread_settings(self, text: str) -> list[str]:
        """Return the names of settings that a reader of `text` would not read as they are here."""
        read, expected = self._settings_in(_content_of(text) or {}), self.settings()
        names = {**read, **expected}
        return [name for name in names if comparable(read.get(name)) != comparable(expected.get(name))]


def _content_of(text: str) -> Any:
    """Return the document in a text; an error counts the lines of the whole text."""
    try:
        return round_trip().load(lines.split_header(text)[1])
    except YAMLError:
        round_trip().load(text.removeprefix(lines.BOM))
        raise
