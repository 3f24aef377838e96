"""The stack's YAML: read and changed with its comments and its order kept."""

import difflib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from components.config import PREFIX, StackConfig, TenantStack, from_settings, tenant_stack
from components.errors import ConfigError, UserError
from components.instants import written
from scripts import yaml_comments

ROOT = Path(__file__).parent.parent
STACKS = ROOT / "stacks"
ENVIRONMENT_BYTES = 131_072  # MAX_ARG_STRLEN: a variable with its name and its end
LONGEST_LIST = 200  # entries of revokedTokens, some 70 bytes each, that may stand in the stack's file itself
REVOKED = f"{PREFIX}dataApi.revokedTokens:"
SCHEMA_LINE = "# yaml-language-server: $schema=opstrace.schema.json\n"


def round_trip() -> YAML:
    """Return a reader and writer of YAML that keeps comments, order and quotes."""
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
        self._read_text = self._first_text = self._text_there()
        self._list: str | None = None  # the text of the file of revoked tokens, if it is to be written
        if self._read_text is not None:
            self._comment = ""
            try:
                self._content = round_trip().load(self._read_text) or CommentedMap()
            # ruamel.yaml lets errors of Python through, as for a date in the thirteenth month
            except (YAMLError, ValueError, TypeError, AttributeError, RecursionError) as error:
                raise ConfigError(f"{self.path} is no YAML: {error}") from error
            self._require_mapping(self._content, "the file")
            yaml_comments.give_to_what_is_below(self._content)
            self._require_mapping(self._content.setdefault("config", CommentedMap()), "config:")

    def _text_there(self) -> str | None:
        try:
            return self.path.read_text() if self.path.exists() else None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.path} is no text in UTF-8: {error}; save it as that") from error

    def exists(self) -> bool:
        """Tell whether the file is there."""
        return self.path.exists()

    def settings(self) -> dict[str, Any]:
        """Return the settings under `opstrace:`, without that prefix, as plain values."""
        config = self._content.get("config", {})
        return {key.removeprefix(PREFIX): _plain(value) for key, value in config.items() if key.startswith(PREFIX)}

    def set(self, name: str, value: Any) -> None:
        """Give the setting `opstrace:<name>` a value."""
        self.section[PREFIX + name] = literal(value)

    def entry(self, name: str) -> Any:
        """Return the value of `opstrace:<name>` itself, to be changed in place."""
        return self.section[PREFIX + name]

    @property
    def section(self) -> Any:
        """The mapping of all settings itself, prefixes in their names, to be changed in place."""
        return self._content.setdefault("config", CommentedMap())

    def part(self, name: str) -> Any:
        """Return the mapping `opstrace:<name>` itself, to be changed in place; an empty one where there is none."""
        found = self.section.setdefault(PREFIX + name, CommentedMap())
        return self._require_mapping(found, f"{PREFIX}{name}:")

    def public_keys(self) -> Any:
        """Return the mapping of key ids to PEM texts, or to PEM texts with limits, itself, to be changed in place."""
        found = self.part("dataApi").setdefault("publicKeys", CommentedMap())
        return self._require_mapping(found, f"{PREFIX}dataApi.publicKeys:")

    def revoked_tokens(self) -> dict[str, str]:
        """Return a copy of the list of revoked tokens, ids to ends, wherever it is kept."""
        found = self.part("dataApi").get("revokedTokens", {})
        if isinstance(found, str):
            listed = self.config().data_api.revoked_tokens
            return {token_id: written(end) for token_id, end in listed.items()}
        return {str(key): str(end) for key, end in self._require_mapping(found, REVOKED).items()}

    def set_revoked_tokens(self, listed: Mapping[str, str]) -> None:
        """Replace the list of revoked tokens; a long one goes into a file of its own, when this file is written.

        The engine hands all settings to the program in one environment variable, and Linux gives that 128 KiB.
        """
        section = self.part("dataApi")
        if len(listed) > LONGEST_LIST or isinstance(section.get("revokedTokens"), str):
            lines = [f"{token_id} {end}\n" for token_id, end in listed.items()]
            self._list = "# Ids of revoked tokens and their ends; `ta-revoke-token` writes them.\n" + "".join(lines)
            section["revokedTokens"] = self.list_path.name
            return
        kept = section.setdefault("revokedTokens", CommentedMap())
        for token_id in [*kept]:  # in place, so that comments stay
            if token_id not in listed:
                del kept[token_id]
        for token_id, end in listed.items():
            if token_id not in kept:
                kept[DoubleQuotedScalarString(token_id)] = DoubleQuotedScalarString(end)

    @property
    def list_path(self) -> Path:
        """The file of revoked tokens, where there are many."""
        return self.path.parent / f"revoked-tokens.{self.instance}.txt"

    def _read(self, name: str) -> str:
        """Return the text of a file beside this one, as it will be when this one is written."""
        if name == self.list_path.name and self._list is not None:
            return self._list
        return (self.path.parent / name).read_text()

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
        self._require_room()
        return from_settings(self.settings(), self.instance, self._read)

    @property
    def owner(self) -> str:
        """The name of the instance whose stack this is, or whose tenant's."""
        return self.instance.split(".")[0]

    @property
    def is_tenants(self) -> bool:
        """Whether this is the stack of one tenant alone."""
        return "." in self.instance

    def tenant_stack(self) -> TenantStack:
        """Return the typed configuration of a tenant's own stack; raises `ConfigError` with every problem."""
        return tenant_stack(self.settings(), self.instance)

    def check(self) -> None:
        """Raise `ConfigError` with every problem of the file, whatever stack it is of."""
        if self.is_tenants:
            self.tenant_stack()
        else:
            self.config()

    def _require_room(self) -> None:
        """Raise `ConfigError` where the engine could not hand the settings to the program."""
        texts = {
            PREFIX + name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
            for name, value in self.settings().items()
        }
        size = len(f"PULUMI_CONFIG={json.dumps(texts, separators=(',', ':'))}") + 1
        if size > ENVIRONMENT_BYTES:
            raise ConfigError(
                f"{self.path}: the settings are {size} bytes as the engine hands them to the program, in one environment "
                f"variable, and Linux gives that {ENVIRONMENT_BYTES}; remove what is not needed, such as old public keys"
            )

    def text(self) -> str:
        """Return the file as `write` makes it."""
        text = io.StringIO()
        round_trip().dump(self._content, text)
        return self._comment + text.getvalue()

    def difference(self) -> str:
        """Return what `write` would change in the file, as a unified diff; empty where nothing."""
        return self._unified(self._read_text, self.text())

    def changes(self) -> dict[str, str]:
        """Return what became of the file since it was read, as a unified diff by its name; nothing where it is the same."""
        found = self._unified(self._first_text, self._text_there())
        return {self.path.name: found} if found else {}

    def _unified(self, before: str | None, after: str | None) -> str:
        """Return a unified diff of two texts of the file; None stands for a file that is not there."""
        lines = [(text or "").splitlines(keepends=True) for text in (before, after)]
        names = ["/dev/null" if text is None else self.path.name for text in (before, after)]
        found = difflib.unified_diff(lines[0], lines[1], names[0], names[1], n=2)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in found)

    def write(self) -> None:
        """Replace the file, and that of revoked tokens if it changed, each by a move: nobody reads half of it.

        Raises `UserError` where somebody else changed the file since it was read: their change would be lost.
        """
        if self._text_there() != self._read_text:
            raise UserError(
                f"{self.path.name} was changed by somebody else meanwhile; nothing is written, run this again"
            )
        if self._list is not None:
            _replace(self.list_path, self._list)
        self._read_text = self.text()
        _replace(self.path, self._read_text)

    def remove(self) -> None:
        """Remove the file, and that of revoked tokens."""
        self.path.unlink()
        self.list_path.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.chmod(partial, 0o644)
    os.replace(partial, path)


def require(instance: str) -> StackFile:
    """Return the stack file of an instance; raises `UserError` where there is none."""
    found = StackFile(instance)
    if not found.exists():
        there = sorted({path.name.split(".")[1] for path in STACKS.glob("Pulumi.*.yaml") if "example" not in path.name})
        known = f"there are {', '.join(there)}" if there else "`./opstrace create` makes one"
        raise UserError(f"there is no instance {instance}: {found.path.name} is not in stacks/; {known}")
    return found
