"""The scopes of tokens, the limits of keys, the ids by which tokens are revoked, and when an end is near."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from components.core.timestamps import format_rfc3339

Scope = Literal["metrics:write", "metrics:read", "logs:write", "logs:read"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

# A token's id (`jti`, RFC 7519, section 4.1.7): needs no quoting in YAML, in a URL or in the gateway's list.
TOKEN_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._~-]{7,127}$"

TOKEN_ENDS_DAYS = 7  # before the end: the gateway counts requests with such a token, and an alert says so
# The lifetime from which on somebody has to replace a token. A program makes those that live for less.
LONG_TOKEN_DAYS = 28
TOKEN_ENDS_PREFIX = "token_ends_"  # of the gateway's counter


@dataclass(frozen=True)
class KeyLimits:
    """The limits of the tokens that a key signs; None: no limit.

    Attributes:
        tenants: The tenants that the tokens may be for.
        scopes: The scopes that the tokens may have.
        not_after: The time until which the key's tokens are accepted, in seconds since the epoch.
    """

    tenants: tuple[str, ...] | None = None
    scopes: tuple[Scope, ...] | None = None
    not_after: int | None = None


UNLIMITED = KeyLimits()


def key_limits_set(keys: Mapping[str, KeyLimits]) -> str:
    """Return the limits by key id, without keys that have none, as the JSON text in Secrets Manager."""
    entries = {kid: limits_as_settings(limits) for kid, limits in sorted(keys.items()) if limits != UNLIMITED}
    return json.dumps(entries, separators=(",", ":"))


def limits_as_settings(limits: KeyLimits) -> dict[str, list[str] | str]:
    """Return a key's limits in the form of a stack file, which leaves out None."""
    entry: dict[str, list[str] | str] = {}
    if limits.tenants is not None:
        entry["tenants"] = list(limits.tenants)
    if limits.scopes is not None:
        entry["scopes"] = list(limits.scopes)
    if limits.not_after is not None:
        entry["notAfter"] = format_rfc3339(limits.not_after)
    return entry


def is_token_id(text: str) -> bool:
    """Tell whether `text` has the form of the id of a revocable token."""
    return re.fullmatch(TOKEN_ID_PATTERN, text) is not None


def scope_claim(scopes: tuple[Scope, ...]) -> str:
    """Return the `scope` claim in the form of RFC 8693 and RFC 9068: names separated by a space."""
    return " ".join(scope for scope in SCOPES if scope in scopes)
