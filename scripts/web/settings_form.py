"""The form of a tenant's settings, made from the JSON schema of stack files; its answers are settings as the commands take them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from components.config.base import EFFECT
from components.config.tenant import TenantConfig, TenantSettings
from components.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["text", "number", "flag", "list", "mapping"]
Schema = dict[str, Any]
GENERAL, SIZE = "General", "size"


@dataclass(frozen=True)
class Field:
    """A setting of a tenant.

    Attributes:
        path: Its path as in `retention.metrics=30d`.
        kind: What it takes.
        description: Its description.
        effect: What a change does to running pods, in a few words.
        choices: The values that it may have; none where it takes others.
    """

    path: str
    kind: Kind
    description: str
    effect: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Settings that stand together, below a title."""

    title: str
    fields: tuple[Field, ...]


@cache
def groups() -> tuple[Group, ...]:
    """Return all settings in groups, in the order of the schema; limits and parts of the size come in groups of their own."""
    schema = TenantSettings.model_json_schema(by_alias=True)
    found: dict[str, list[Field]] = {}
    for field in _fields(schema, schema["$defs"], "", ""):
        found.setdefault(_title(field.path), []).append(field)
    return tuple(Group(title, tuple(fields)) for title, fields in found.items())


def _title(path: str) -> str:
    first, *others = path.split(".")
    if first == "limits":
        return f"{first}.{others[0]}"
    return first if first == SIZE and others else GENERAL


def fields() -> Iterator[Field]:
    """Yield all settings."""
    for group in groups():
        yield from group.fields


@cache
def name_field() -> Field:
    """Return the name of a tenant, which no command changes."""
    return _field("name", TenantConfig.model_json_schema(by_alias=True)["properties"]["name"], "")


def _fields(schema: Schema, definitions: Mapping[str, Schema], prefix: str, effect: str) -> Iterator[Field]:
    """Yield the settings of a schema. Those that do not say what a change does have the `effect` of what they are part of."""
    properties: dict[str, Schema] = schema["properties"]
    for name, part in properties.items():
        choices: list[Schema] = part.get("oneOf", [part])
        if "$ref" not in part:
            yield _field(f"{prefix}{name}", part, effect)
        for one in choices:
            if "$ref" in one:
                inner = definitions[one["$ref"].rpartition("/")[2]]
                yield from _fields(inner, definitions, f"{prefix}{name}.", part.get(EFFECT, effect))


def _field(path: str, part: Schema, effect: str) -> Field:
    choices: list[Schema] = part.get("anyOf") or part.get("oneOf") or [part]
    kinds = [one for one in choices if one.get("type") != "null"]
    first, described = kinds[0], (part["description"], part.get(EFFECT, effect))
    values = tuple(map(str, first.get("enum", ())))
    kind: dict[str, Kind] = {
        "boolean": "flag",
        "integer": "number",
        "number": "number",
        "array": "list",
        "object": "mapping",
    }
    return Field(path, kind.get(first["type"], "text"), *described, values)


def texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that the form shows for settings in the form of a stack file, by path."""
    return {field.path: text for field in fields() if (text := _text(field, _value(settings, field.path)))}


def named_in(error: str) -> set[str]:
    """Return the paths of the settings that an error names."""
    return {field.path for field in fields() if re.search(rf"(?<!\w){re.escape(field.path)}(?!\w|\.\w)", error)}


def fingerprint(texts: Mapping[str, str]) -> str:
    """Return a text that tells whether the texts of a form have changed since the form was made."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def _value(settings: Mapping[str, Any], path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(field: Field, value: Any) -> str:
    if value is None or (field.choices and isinstance(value, dict)):  # a size that is set part by part
        return ""
    if field.kind == "mapping":
        return "\n".join(f"{name}={one}" for name, one in value.items())
    if field.kind == "list":
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def assignments(form: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """Return the changes between the texts `before` and those of a form, as settings in the form NAME=VALUE.

    Raises `UserError` where a text does not have the form of its setting, or where a size has both a name and parts.
    """
    texts = {field: _normal(form.get(field.path, "")) for field in fields()}
    parts = [field.path for field, text in texts.items() if text and field.path.startswith(f"{SIZE}.")]
    if form.get(SIZE) and parts:
        raise UserError(f"{SIZE}: a named size has no other parts; leave {SIZE} empty, or clear {', '.join(parts)}")
    changed = [field for field, text in texts.items() if text != _normal(before.get(field.path, ""))]
    # What is removed comes first: a named size cannot replace parts of a size before they are gone, nor the other way around.
    changed.sort(key=lambda field: texts[field] != "")
    return [f"{field.path}={_yaml(field, texts[field])}" for field in changed]


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
