"""Parsing of untrusted tokens: header and claims, without verification."""

import base64
import binascii
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import TokenError
from scripts.ui import regular_files

LONGEST = 16_384  # characters; Envoy accepts request headers of 12 KiB, and our tokens are shorter than 1,000
SHORTEST = 100  # characters; no text up to this length can be a signed token
MAKE_ONE = "check the path, or make a token with `./opstrace ta-create-token INSTANCE TENANT KEYPAIR_FILE --out FILE`"
END_OF_TIME = 2**64  # seconds since the epoch
FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
WRAPPINGS = {
    "the byte order mark (BOM) at its start": re.compile("\ufeff(.*)", re.DOTALL),
    "the quotes around it": re.compile(r"""["'\u2018\u201c](.*)["'\u2019\u201d]""", re.DOTALL),
    "`Authorization:` before it": re.compile(r"authorization\s*:(.*)", re.DOTALL | re.IGNORECASE),
    "`Bearer` before it": re.compile(r"bearer\s(.*)", re.DOTALL | re.IGNORECASE),
}


@dataclass(frozen=True)
class Token:
    """A token's text, header and claims. Nothing of it is verified."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    def text_of(self, claim: str) -> str | None:
        """Return a claim that is text, None if it is missing or something else."""
        value = self.claims.get(claim)
        return value if isinstance(value, str) else None

    def seconds_of(self, claim: str) -> int | None:
        """Return a claim that is an instant, in seconds since the epoch, None if it is missing or something else.

        Envoy's `jwt_authn` accepts numbers from 0 up to `END_OF_TIME`, without that value.
        """
        value = self.claims.get(claim)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < END_OF_TIME:
            return None
        return int(value) if float(value) < END_OF_TIME else None  # Envoy reads all JSON numbers as doubles

    @property
    def kid(self) -> str | None:
        """The id of the key that signed it, according to its header."""
        value = self.header.get("kid")
        return value if isinstance(value, str) else None


def looks_like_token(text: str) -> bool:
    """Tell whether `text` may be a token and must not be printed."""
    return FORM.fullmatch(text) is not None and len(text) > SHORTEST


def _unwrapped(text: str) -> tuple[str, list[str]]:
    """Return a text without what surrounds it by mistake, and the names of that."""
    found: list[str] = []
    while True:
        text = text.strip()
        match = next(((name, m[1]) for name, form in WRAPPINGS.items() if (m := form.fullmatch(text))), None)
        if match is None:
            return text, found
        found.append(match[0])
        text = match[1]


def read_token(text: str) -> Token:
    """Return the token in `text`, without surrounding white space; raises `TokenError` if it has another form."""
    trimmed = text.strip()
    if len(trimmed) > LONGEST:
        raise TokenError(f"no token: it has {len(trimmed)} characters, but at most {LONGEST} are allowed")
    if not FORM.fullmatch(trimmed):
        bare, around = _unwrapped(trimmed)
        if around and FORM.fullmatch(bare):
            raise TokenError(f"no token alone: remove {' and '.join(around)}, so that only the token is left")
        if FORM.fullmatch("".join(trimmed.split())):
            raise TokenError("no token: it is broken into lines or has blanks within; write it in one line")
        raise TokenError("no token: a token has three parts of base64url, separated by dots (RFC 7519)")
    header, claims, _ = trimmed.split(".")
    return Token(trimmed, _object(header, "header"), _object(claims, "claims"))


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        decoded = json.loads(content, object_pairs_hook=_unique_names, parse_constant=_refuse_constant)
    except (binascii.Error, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _DuplicateNameError) else "no JSON in base64url"
        raise TokenError(f"no token: its {what}: {reason}") from None  # the cause would show parts of the token
    if not isinstance(decoded, dict):
        raise TokenError(f"no token: its {what} must be a JSON object")
    return decoded


class _DuplicateNameError(ValueError):
    """A name occurs twice. Programs differ in which of its values they use (RFC 8725, 2.4)."""


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateNameError("a name is given twice")
    return members


def _refuse_constant(text: str) -> Any:
    """Refuse NaN and Infinity, which Python reads but JSON does not have."""
    raise ValueError(text)


def token_in(file: str, missing: str = MAKE_ONE) -> Token:
    """Return the token in a file, or in standard input (`-`); raises `TokenError`, which shows no part of the token.

    `missing` is the remedy for a file that does not exist.
    """
    if looks_like_token(_unwrapped(file)[0]):
        raise TokenError(
            "that is a token itself. Other users may have seen it in the process list, and your shell's history has it. "
            "Write it to a file that only you can read, and name that file"
        )
    try:
        text = sys.stdin.read(2 * LONGEST) if file == "-" else regular_files.read(Path(file), 2 * LONGEST)[0].decode()
    except OSError as error:
        raise TokenError(f"{file}: {regular_files.reason(error, missing)}") from error
    except ValueError:
        raise TokenError(
            f"{file}: no token: it is not encoded in UTF-8, but perhaps in UTF-16, as Windows does; save it as UTF-8"
        ) from None
    try:
        return read_token(text)
    except TokenError as error:
        raise TokenError(f"{'standard input' if file == '-' else file}: {error}") from None
