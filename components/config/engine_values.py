"""How the engine reads a stack file: which names are settings, which texts are JSON, which values it reads differently."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from components.config.stack import PREFIX
from components.core.names import tenant_name_problem

OLD_PREFIX = f"{PREFIX}config:"  # of the engine's first versions; it still reads it
SECURE = "secure"
TEXTS = ("domain", "name", "tenantOf")  # settings that the engine hands over as plain text; the others may be JSON
# What could be a number that begins with 0. Reading YAML takes time, so it is read only where one of these is.
MAYBE_OCTAL = re.compile(r"(?:^|[\s:,\[{])[-+]?0[0-9_]+\s*(?:[#,\]}]|$)", re.MULTILINE)


def setting_name(key: Any) -> str | None:
    """Return the setting that a key below `config:` stands for, None for another program's.

    The engine reads a key without a namespace as the project's.
    """
    if not isinstance(key, str):
        return None
    if ":" not in key:
        return key
    return key.removeprefix(OLD_PREFIX).removeprefix(PREFIX) if key.startswith(PREFIX) else None


def engine_value(name: str, value: Any) -> Any:
    """Return the value of a setting as the program reads it.

    The engine hands over scalars as texts. The program reads each text as JSON where it is JSON.
    """
    if isinstance(value, str):
        return value if name in TEXTS else _decoded(value)
    return str(value) if name in TEXTS and type(value) is int else value


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def shown_path(path: Sequence[int | str], settings: Mapping[str, Any]) -> str:
    """Return the path of a setting for a message. A tenant's entry stands as its name, if no other entry has that."""
    parts = [str(part) for part in path]
    match path:
        case ["tenants", int(number), *_] if isinstance(entries := settings.get("tenants"), list):
            names = [entry.get("name") if isinstance(entry, Mapping) else None for entry in entries]
            name = names[number] if number < len(names) else None
            if isinstance(name, str) and names.count(name) == 1 and tenant_name_problem(name) is None:
                parts[1] = name
    return PREFIX + ".".join(parts)


def _engine_path(path: Sequence[int | str]) -> str:
    """Return the path of a setting as `pulumi config set --path` reads it."""
    first, *others = path
    parts = [
        f"[{part}]" if isinstance(part, int) else f".{part}" if part.isidentifier() else f'["{part}"]'
        for part in others
    ]
    return f"{PREFIX}{first}{''.join(parts)}"


def encrypted(where: str, path: str | None = None) -> str:
    """Return the problem of a setting that `pulumi config set --secret` wrote; `path` is its path as the engine has it."""
    return (
        f"{where}: is encrypted (`{SECURE}:`), but commands read settings without the passphrase, and the settings stand in "
        f"state and cluster as plain text; write this value as plain text: `pulumi config set --plaintext --path '{path or where}' VALUE`"
    )


def problems(config: Mapping[Any, Any]) -> list[str]:
    """Return what commands and the engine would read as different values in the settings below `config:`.

    `config` has the numbers of ruamel.yaml, which know how they were written.
    """
    found = [f"{key!r}: a setting's name is a text; write it in quotes" for key in config if not isinstance(key, str)]
    places: dict[str, str] = {}
    for key, value in config.items():
        name = setting_name(key)
        if name is None:
            continue
        if name in places:
            found.append(f"{PREFIX}{name}: stands twice, as {places[name]} and as {key}; remove one of both")
        places[name] = key
        found += _problems_of([name], value, {name: value})
    return found


def _problems_of(path: Sequence[int | str], value: Any, settings: Mapping[str, Any]) -> Iterator[str]:
    # The path is made for a problem alone: with a thousand tenants, that of each value would take most of the time.
    if isinstance(value, Mapping):
        if [*value] == [SECURE] and isinstance(value[SECURE], str):
            yield encrypted(shown_path(path, settings), _engine_path(path))
            return
        for key, entry in value.items():
            if isinstance(key, str):
                yield from _problems_of([*path, key], entry, settings)
            else:
                where = shown_path(path, settings)
                yield f"{where}: the name {key!r} is a number, a date or a truth value; write it in quotes"
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _problems_of([*path, number], entry, settings)
    elif isinstance(value, int) and (width := getattr(value, "_width", None)):  # the digits as they were written
        digits = f"{abs(value):0{width}d}"
        if digits.startswith("0") and len(digits) > 1:
            yield _octal(shown_path(path, settings), digits, "-" if value < 0 else "")


def _octal(where: str, digits: str, sign: str) -> str:
    """Return the problem of a number that begins with 0, such as 010."""
    by_engine, by_others = (f"{sign}{int(digits, base)}" for base in (10 if re.search("[89]", digits) else 8, 10))
    return (
        f"{where}: {sign}{digits} begins with 0: the engine reads {by_engine}, and other readers of YAML {by_others}; write "
        f'the number that you mean, or "{sign}{digits}" in quotes if you mean a text'
    )


def problems_in(text: str, secrets: Collection[str] = ()) -> list[str]:
    """Return the problems of a stack file's text, if it may hold a number that begins with 0 or has encrypted values.

    `secrets` are the keys of the settings with encrypted values, as the engine names them.
    """
    own = [key for key in secrets if key.startswith(PREFIX)]
    found = _problems_of_text(text) if own or MAYBE_OCTAL.search(text) else []
    return found + [encrypted(key) for key in own if not any(problem.startswith(key) for problem in found)]


def _problems_of_text(text: str) -> list[str]:
    from ruamel.yaml import YAML  # noqa: PLC0415 slow to import, and rarely needed
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 slow to import, and rarely needed

    try:
        content = YAML().load(text)
    except (YAMLError, ValueError, TypeError, AttributeError):  # the engine has read it
        return []
    config = content.get("config") if isinstance(content, Mapping) else None
    return problems(config) if isinstance(config, Mapping) else []
