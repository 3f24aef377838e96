"""The gateway's checks of a token, done by an instance's stack file and explained in words."""

from collections.abc import Iterator, Mapping, Sequence

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.utils import base64url_decode

from components.config.stack import StackConfig
from components.core.names import SYSTEM, token_audience, token_subject
from components.core.public_keys import TOKEN_ISSUER, public_key
from components.core.scopes import SCOPES, UNLIMITED, KeyLimits
from components.core.timestamps import format_rfc3339
from components.gateway.lua_filters import (
    CLOCK_SKEW_SECONDS,
    LONGEST_HEADER,
    LONGEST_TOKEN,
    MOST_BRACKETS,
    MOST_SEPARATORS,
)
from scripts.tokens.parse import Token


def refusals(token: Token, config: StackConfig, instance: str, now: float, alone: Sequence[str] = ()) -> list[str]:
    """Return every reason why the instance refuses the token; none if it accepts the token.

    `alone` are its tenants with stacks of their own.
    """
    if not config.data_api.authentication:
        return []
    revoked = ["it was revoked"] if token.text_of("jti") in config.data_api.revoked_tokens else []
    limits = config.data_api.limits.get(token.kid or "", UNLIMITED)
    unsigned = signature_problem(token, config.data_api.pems)
    return [
        *_form(token),
        *([unsigned] if unsigned else []),
        *_claims(token, instance, [SYSTEM, *(tenant.name for tenant in config.tenants), *alone]),
        *_limits(token, limits, now),
        *revoked,
        *_times(token, now),
    ]


def _form(token: Token) -> Iterator[str]:
    """Yield the reasons why the gateway refuses the token before it looks up a key (components/gateway/lua)."""
    if len(token.text) > LONGEST_TOKEN:
        yield f"it has {len(token.text)} characters, but the gateway takes {LONGEST_TOKEN}"
    header, claims, _ = token.text.split(".")
    if len(header) > LONGEST_HEADER:
        yield f"its header has {len(header)} characters, but the gateway takes {LONGEST_HEADER}"
    for name, part in (("header", header), ("payload", claims)):
        text = base64url_decode(part)
        brackets, separators = (
            sum(text.count(symbol) for symbol in symbols) for symbols in ((b"[", b"{"), (b",", b":"))
        )
        if brackets > MOST_BRACKETS or separators > MOST_SEPARATORS:
            yield (
                f"its {name} is nested or long: it has {brackets} brackets and {separators} separators, but the gateway "
                f"takes {MOST_BRACKETS} and {MOST_SEPARATORS}"
            )


def signature_problem(token: Token, pems: Mapping[str, str]) -> str | None:
    """Return why no key of `pems`, PEM texts by key ids, has signed the token; None if one has."""
    if token.header.get("alg") != "RS256":
        return f"it is signed with {token.header.get('alg')!r}, but only RS256 is accepted"
    if token.kid is None:
        return "its header names no key (kid)"
    trusted = pems.get(token.kid)
    if trusted is None:
        return f"its header names the key {token.kid!r}, which is not among publicKeys"
    if not is_signed_by(token, public_key(trusted)):
        return f"it was not signed by the key {token.kid}, or was changed afterwards"
    return None


def is_signed_by(token: Token, key: RSAPublicKey) -> bool:
    """Tell whether the private key of `key` has signed the token. Its header and claims are not checked."""
    try:
        jwt.decode(token.text, key, algorithms=["RS256"], options=_SIGNATURE_ALONE)
    except jwt.PyJWTError:
        return False
    return True


_SIGNATURE_ALONE: jwt.types.Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def _claims(token: Token, instance: str, tenants: Sequence[str]) -> Iterator[str]:
    claims = token.claims
    if claims.get("iss") != TOKEN_ISSUER:
        yield f"its issuer (iss) is {claims.get('iss')!r}, not {TOKEN_ISSUER!r}"
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if token_audience(instance) not in named or not all(isinstance(name, str) for name in named):
        yield f"it is for {audience!r} (aud), not for {token_audience(instance)!r}"
    if claims.get("sub") not in [token_subject(tenant) for tenant in tenants]:
        yield f"its subject (sub) is {claims.get('sub')!r}, but the tenants are {', '.join(tenants)}"
    if "jti" in claims and token.text_of("jti") is None:
        yield "its id (jti) is no text"
    if "scope" in claims:
        scope = token.text_of("scope")
        if scope is None or not {*scope.split(" ")} & {*SCOPES}:
            yield f"its scope is {claims['scope']!r}, which covers nothing; scopes are {', '.join(SCOPES)}"


def _limits(token: Token, limits: KeyLimits, now: float) -> Iterator[str]:
    if limits.tenants is not None and token.claims.get("sub") not in [token_subject(name) for name in limits.tenants]:
        yield f"its key is limited to the tenants {', '.join(limits.tenants)}"
    if limits.not_after is not None and now >= limits.not_after:
        yield f"its key has not been accepted since {in_words(limits.not_after)}"
    scopes = {*(SCOPES if "scope" not in token.claims else (token.text_of("scope") or "").split(" "))}
    if limits.scopes is not None and not scopes & {*limits.scopes}:
        yield f"its key is limited to the scopes {', '.join(limits.scopes)}"


def _times(token: Token, now: float) -> Iterator[str]:
    claims, expires, start = token.claims, token.seconds_of("exp"), token.seconds_of("nbf")
    if expires is None:
        yield f"its end (exp) is {claims['exp']!r}, which is no instant" if "exp" in claims else "it has no end (exp)"
    elif now > expires + CLOCK_SKEW_SECONDS:
        yield f"it ended at {in_words(expires)}"
    if "iat" in claims and token.seconds_of("iat") is None:
        yield f"the time at which it was issued (iat) is {claims['iat']!r}, which is no instant"
    if "nbf" in claims and start is None:
        yield f"its start (nbf) is {claims['nbf']!r}, which is no instant"
    elif start is not None and now < start - CLOCK_SKEW_SECONDS:
        yield f"it is not valid before {in_words(start)}"


def in_words(seconds: int) -> str:
    """Return an instant, in seconds since the epoch, as a date; the number if no date stands for it."""
    try:
        return format_rfc3339(seconds)
    except ValueError:
        return f"{seconds} s since 1970"
