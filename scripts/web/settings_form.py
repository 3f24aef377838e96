"""The form of a tenant's settings, made from the JSON schema of stack files; its answers are settings as the commands take them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from components.config.tenant import TenantSettings
from components.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["text", "number", "choice", "flag", "list", "mapping"]
Schema = dict[str, Any]
GENERAL = "General"


@dataclass(frozen=True)
class Field:
    """A setting: its path as in `retention.metrics=30d`, what it takes, and its description."""

    path: str
    kind: Kind
    description: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Settings that stand together, below a title."""

    title: str
    fields: tuple[Field, ...]


@cache
def groups() -> tuple[Group, ...]:
    """Return all settings in groups, in the order of the schema; limits come in groups of their own."""
    schema = TenantSettings.model_json_schema(by_alias=True)
    found: dict[str, list[Field]] = {}
    for field in _fields(schema, schema["$defs"], ""):
        title = field.path.rpartition(".")[0] if field.path.startswith("limits.") else GENERAL
        found.setdefault(title, []).append(field)
    return tuple(Group(title, tuple(fields)) for title, fields in found.items())


def fields() -> Iterator[Field]:
    """Yield all settings."""
    for group in groups():
        yield from group.fields


def _fields(schema: Schema, definitions: Mapping[str, Schema], prefix: str) -> Iterator[Field]:
    properties: dict[str, Schema] = schema["properties"]
    for name, part in properties.items():
        if "$ref" in part:
            yield from _fields(_definition(part, definitions), definitions, f"{prefix}{name}.")
        else:
            yield _field(f"{prefix}{name}", part)


def _definition(part: Schema, definitions: Mapping[str, Schema]) -> Schema:
    return definitions[part["$ref"].rpartition("/")[2]]


def _field(path: str, part: Schema) -> Field:
    choices: list[Schema] = part.get("anyOf") or part.get("oneOf") or [part]
    kinds = [one for one in choices if one.get("type") != "null"]
    first, description = kinds[0], part["description"]
    if "enum" in first:
        return Field(path, "choice", description, tuple(first["enum"]))
    kind: dict[str, Kind] = {
        "boolean": "flag",
        "integer": "number",
        "number": "number",
        "array": "list",
        "object": "mapping",
    }
    return Field(path, kind.get(first["type"], "text"), description)


def texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that the form shows for settings in the form of a stack file, by path."""
    return {field.path: text for field in fields() if (text := _text(field, _value(settings, field.path)))}


def _value(settings: Mapping[str, Any], path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(field: Field, value: Any) -> str:
    if value is None or (field.kind == "choice" and isinstance(value, dict)):  # a size that is set part by part
        return ""
    if field.kind == "mapping":
        return "\n".join(f"{name}={one}" for name, one in value.items())
    if field.kind == "list":
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def assignments(form: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """Return the changes between the texts `before` and those of a form, as settings in the form NAME=VALUE.

    Raises `UserError` where a text does not have the form of its setting.
    """
    changed = [field for field in fields() if _normal(form.get(field.path, "")) != _normal(before.get(field.path, ""))]
    return [f"{field.path}={_yaml(field, _normal(form.get(field.path, '')))}" for field in changed]


def _normal(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _yaml(field: Field, text: str) -> str:
    """Return a text as YAML. Texts are quoted, so that they are what was typed."""
    if not text or field.kind in ("number", "flag"):
        return text
    if field.kind == "list":
        return json.dumps([part.strip() for part in text.split(",")], ensure_ascii=False)
    if field.kind == "mapping":
        return json.dumps(dict(_pair(field, line) for line in text.splitlines()), ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False)


def _pair(field: Field, line: str) -> tuple[str, str]:
    name, equals, value = line.partition("=")
    if not equals or not name.strip():
        raise UserError(f"{field.path}: {line!r}: a line has the form NAME=VALUE, such as team=web")
    return name.strip(), value.strip()
