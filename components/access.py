"""What a token may be limited to, and how a token is named so that it can be taken back."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from components.instants import written

Scope = Literal["metrics:write", "metrics:read", "logs:write", "logs:read"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# Of a token's id (`jti`, RFC 7519 4.1.7): what can stand in YAML, in a URL and in the gateway's list without quoting.
TOKEN_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._~-]{7,127}$"


@dataclass(frozen=True)
class KeyLimits:
    """What the tokens of a key may be for; None: no limit. `not_after` is in seconds since the epoch."""

    tenants: tuple[str, ...] | None = None
    scopes: tuple[Scope, ...] | None = None
    not_after: int | None = None


UNLIMITED = KeyLimits()


def key_limits_set(keys: Mapping[str, KeyLimits]) -> str:
    """Return the limits of the keys that have some, by key id, as the JSON text that Secrets Manager holds."""
    found = {kid: limits_in_words(limits) for kid, limits in sorted(keys.items()) if limits != UNLIMITED}
    return json.dumps(found, separators=(",", ":"))


def limits_in_words(limits: KeyLimits) -> dict[str, list[str] | str]:
    """Return limits as they stand in a stack's file; what is not limited is missing."""
    found: dict[str, list[str] | str] = {}
    if limits.tenants is not None:
        found["tenants"] = list(limits.tenants)
    if limits.scopes is not None:
        found["scopes"] = list(limits.scopes)
    if limits.not_after is not None:
        found["notAfter"] = written(limits.not_after)
    return found


def is_token_id(text: str) -> bool:
    """Tell whether `text` has the form of the id of a token that can be revoked."""
    return re.fullmatch(TOKEN_ID_PATTERN, text) is not None


def scope_claim(scopes: tuple[Scope, ...]) -> str:
    """Return the `scope` claim as RFC 8693 and RFC 9068 write it: names with one blank between them."""
    return " ".join(scope for scope in SCOPES if scope in scopes)
