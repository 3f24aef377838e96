"""The stack's YAML: read and changed with its comments and its order kept."""

import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from components.config import PREFIX, StackConfig, from_settings
from components.errors import ConfigError, UserError

ROOT = Path(__file__).parent.parent
STACKS = ROOT / "stacks"
SCHEMA_LINE = "# yaml-language-server: $schema=opstrace.schema.json\n"


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, str) else value


def literal(value: Any) -> Any:
    """Return `value` with texts of several lines as YAML block literals, which people can read."""
    if isinstance(value, Mapping):
        return CommentedMap({key: literal(entry) for key, entry in value.items()})
    if isinstance(value, list):
        return [literal(entry) for entry in value]
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value


def quoted(text: str) -> Any:
    """Return `text` as YAML text in quotes: without them, readers differ in what they take for a date or a number."""
    return DoubleQuotedScalarString(text)


class StackFile:
    """`stacks/Pulumi.<instance>.yaml`, changed in memory until `write`."""

    def __init__(self, instance: str, folder: Path = STACKS) -> None:
        self.instance = instance
        self.path = folder / f"Pulumi.{instance}.yaml"
        self._content: Any = CommentedMap()
        self._comment = SCHEMA_LINE
        if self.path.exists():
            self._comment = ""
            try:
                self._content = _yaml().load(self.path.read_text()) or CommentedMap()
            except YAMLError as error:
                raise ConfigError(f"{self.path} is no YAML: {error}") from error
            self._require_mapping(self._content, "the file")
            self._require_mapping(self._content.setdefault("config", CommentedMap()), "config:")

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self.path.exists()

    def settings(self) -> dict[str, Any]:
        """Return the settings under `opstrace:`, without that prefix, as plain values."""
        config = self._content.get("config", {})
        return {key.removeprefix(PREFIX): _plain(value) for key, value in config.items() if key.startswith(PREFIX)}

    def set(self, name: str, value: Any) -> None:
        """Give the setting `opstrace:<name>` a value."""
        self._content.setdefault("config", CommentedMap())[PREFIX + name] = literal(value)

    def entry(self, name: str) -> Any:
        """Return the value of `opstrace:<name>` itself, to be changed in place."""
        return self._content["config"][PREFIX + name]

    def part(self, name: str) -> Any:
        """Return the mapping `opstrace:<name>` itself, to be changed in place; an empty one where there is none."""
        found = self._content.setdefault("config", CommentedMap()).setdefault(PREFIX + name, CommentedMap())
        return self._require_mapping(found, f"{PREFIX}{name}:")

    def public_keys(self) -> Any:
        """Return the mapping of key ids to PEM texts, or to PEM texts with limits, itself, to be changed in place."""
        found = self.part("dataApi").setdefault("publicKeys", CommentedMap())
        return self._require_mapping(found, f"{PREFIX}dataApi.publicKeys:")

    def revoked_tokens(self) -> Any:
        """Return the mapping of ids of revoked tokens to their ends itself, to be changed in place."""
        found = self.part("dataApi").setdefault("revokedTokens", CommentedMap())
        return self._require_mapping(found, f"{PREFIX}dataApi.revokedTokens:")

    def forget_stack(self) -> None:
        """Drop what ties the file to a stack that is gone: the salt of its passphrase."""
        self._content.pop("encryptionsalt", None)

    def _require_mapping(self, found: Any, what: str) -> Any:
        if not isinstance(found, Mapping):
            raise ConfigError(
                f"{self.path}: {what} must hold `name: value` lines, but holds {found!r}; fill it in or remove it"
            )
        return found

    def config(self) -> StackConfig:
        """Return the typed configuration; raises `ConfigError` with every problem."""
        return from_settings(self.settings(), self.instance)

    def write(self) -> None:
        """Replace the file by a move, so that nobody reads half of it."""
        text = io.StringIO()
        _yaml().dump(self._content, text)
        handle, partial = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        with os.fdopen(handle, "w") as file:
            file.write(self._comment + text.getvalue())
        os.chmod(partial, 0o644)
        os.replace(partial, self.path)


def require(instance: str) -> StackFile:
    """Return the stack file of an instance; raises `UserError` where there is none."""
    found = StackFile(instance)
    if not found.exists():
        there = sorted(path.name.split(".")[1] for path in STACKS.glob("Pulumi.*.yaml") if "example" not in path.name)
        known = f"there are {', '.join(there)}" if there else "`./opstrace create` makes one"
        raise UserError(f"there is no instance {instance}: {found.path.name} is not in stacks/; {known}")
    return found
