"""Reading a token without trusting it: its header and its claims, of whatever shape they are."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.errors import TokenError

LONGEST = 16_384  # characters; Envoy takes request headers of 60 KiB, and ours are below 1,000
INSTANTS = 2**64  # seconds since the epoch
FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Token:
    """A token's text, and what its header and its claims say: nothing of it is verified."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def text_of(self, claim: str) -> str | None:
        """Return a claim that is text, None where it is not there or something else."""
        found = self.claims.get(claim)
        return found if isinstance(found, str) else None

    def seconds_of(self, claim: str) -> int | None:
        """Return a claim that is an instant, in seconds since the epoch, None where it is not there or something else.

        What is one, Envoy's `jwt_authn` says: a number from 0 on, below `INSTANTS`.
        """
        found = self.claims.get(claim)
        if not isinstance(found, (int, float)) or isinstance(found, bool) or not 0 <= found < INSTANTS:
            return None
        return int(found) if float(found) < INSTANTS else None  # all numbers in JSON are doubles to Envoy

    @property
    def kid(self) -> str | None:
        """The id of the key that is said to have signed it."""
        found = self.header.get("kid")
        return found if isinstance(found, str) else None


def looks_like_token(text: str) -> bool:
    """Tell whether `text` may be a token, so that it must not be printed."""
    return FORM.fullmatch(text) is not None and len(text) > 100


def read_token(text: str) -> Token:
    """Return the token in `text`, white space around it left out; raises `TokenError`."""
    trimmed = text.strip()
    if len(trimmed) > LONGEST:
        raise TokenError(f"{len(trimmed)} characters are no token: it would have {LONGEST} at most")
    if not FORM.fullmatch(trimmed):
        raise TokenError("no token: it would be three parts of base64url with dots between (RFC 7519)")
    header, claims, _ = trimmed.split(".")
    return Token(trimmed, _object(header, "header"), _object(claims, "claims"))


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        found = json.loads(content, object_pairs_hook=_without_doubles, parse_constant=_no_number)
    except (binascii.Error, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _Doubled) else "no JSON in base64url"
        raise TokenError(f"no token: its {what}: {reason}") from None  # what was read is not to be shown
    if not isinstance(found, dict):
        raise TokenError(f"no token: its {what} must be a JSON object")
    return found


class _Doubled(ValueError):
    """A name is given twice: who reads the one and who reads the other would disagree (RFC 8725, 2.4)."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Doubled("a name is given twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(text)
