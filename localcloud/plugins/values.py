"""Conversion of property values between the engine's wire format and plain Python.

Integral numbers become `int`. A value that is unknown in a preview is `UNKNOWN`. Secrets arrive unwrapped, because the
plugins do not accept secrets; the engine marks outputs of the same names as secrets again (`annotateSecrets` in
pulumi/sdk/go/common/resource/plugin).
"""

import re
from typing import Any

from google.protobuf import struct_pb2

PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$]*")
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # plugin.UnknownStringValue of the engine


class Unknown:
    """A value that is unknown before the update."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __deepcopy__(self, memo: object) -> "Unknown":
        return self


UNKNOWN = Unknown()


def _decoded(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return decode(value.struct_value)
    if kind == "list_value":
        return [_decoded(entry) for entry in value.list_value.values]
    if kind == "number_value":
        return int(value.number_value) if value.number_value.is_integer() else value.number_value
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
    return value.bool_value if kind == "bool_value" else None


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return the properties as plain Python, without nulls: the engine uses null for a property that is not set."""
    decoded = {key: _decoded(value) for key, value in struct.fields.items()}
    return {key: value for key, value in decoded.items() if value is not None}


def _encodable(value: Any) -> Any:
    if isinstance(value, Unknown):
        return UNKNOWN_TEXT
    if isinstance(value, dict):
        return {str(key): _encodable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(entry) for entry in value]
    return value


def encode(properties: dict[str, Any]) -> struct_pb2.Struct:
    """Return the properties in the wire format."""
    struct = struct_pb2.Struct()
    struct.update(_encodable(properties))
    return struct


def has_unknown(value: Any) -> bool:
    """Tell whether `value` contains an unknown value."""
    if isinstance(value, dict):
        return any(has_unknown(entry) for entry in value.values())
    if isinstance(value, list):
        return any(has_unknown(entry) for entry in value)
    return isinstance(value, Unknown)


def _inner(path: str, key: str) -> str:
    """Return the path of `key` in the value at `path`; a key with a dot in it is quoted."""
    if not PLAIN_KEY.fullmatch(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def changed_paths(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the paths, such as `spec.template.spec.containers[0].image`, at which two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        paths = []
        for key in sorted({*old, *new}):
            paths += changed_paths(old.get(key), new.get(key), _inner(path, key))
        return paths
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            inner
            for index, pair in enumerate(zip(old, new, strict=True))
            for inner in changed_paths(*pair, f"{path}[{index}]")
        ]
    return [] if old == new else [path]
