"""The settings of a stack file as the engine hands them to the program.

The rules are those of `sdk/go/common/workspace/loaders.go` and `pkg/workspace/config.go` of Pulumi 3.255, which
tests/integration/test_engine_view.py compares with the engine itself.
"""

import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import TaggedScalar
from ruamel.yaml.error import YAMLError

from components.config.engine_values import engine_value, setting_name
from components.config.stack import PREFIX
from components.core.errors import ConfigError

NO_PATH = re.compile(r'["\[\]]')
Config = Mapping[Any, Any]


def plain(value: Any) -> Any:
    """Return a YAML value as dicts, lists and scalars of Python."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, TaggedScalar):  # such as `!!str 12`
        return str(value.value)
    return str(value) if isinstance(value, str) else value


def settings_in(config: Config, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings below `config:` by name as plain values, and those of `defaults` that it does not set."""
    found = {name: engine_value(name, plain(value)) for key, value in config.items() if (name := setting_name(key))}
    for path, value in defaults.items():
        _set_default(found, path, value)
    return found


def _set_default(settings: MutableMapping[str, Any], path: str, value: Any) -> None:
    """Set a default of Pulumi.yaml, whose name is a path, unless it is set."""
    *parents, name = path.split(".")
    for parent in parents:
        inner = settings.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"Pulumi.yaml: {PREFIX}{path}: {parent} is {inner!r} and has no parts; remove one of both"
            )
        settings = inner
    settings.setdefault(name, engine_value(path, value))


def project_defaults(stacks: Path) -> dict[str, Any]:
    """Return the settings in the `config:` of the Pulumi.yaml above a folder of stack files, which hold for each stack.

    Raises:
        ConfigError: the file is invalid.
    """
    file = stacks.parent / "Pulumi.yaml"
    text = file.read_text("utf-8-sig") if file.exists() else ""
    if not re.search(r"^[\"']?config", text, re.MULTILINE):
        return {}
    try:
        config = YAML(typ="safe").load(text).get("config") or {}
        entries = {setting_name(key): entry for key, entry in config.items()}
    except (YAMLError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} is not valid: {error}") from error
    values = {name: _default(entry) for name, entry in entries.items() if name}
    odd = [name for name in values if NO_PATH.search(name)]
    if odd:
        raise ConfigError(
            f"{file}: {PREFIX}{odd[0]}: commands read no quotes and brackets in a name; use the stack file"
        )
    return {name: plain(value) for name, value in values.items() if value is not None}


def _default(entry: Any) -> Any:
    return entry.get("value", entry.get("default")) if isinstance(entry, Mapping) else entry
