"""Whether an instance accepts a token, by its stack's file: the same questions as the gateway asks, in words."""

from collections.abc import Iterator, Sequence

import jwt

from components.access import SCOPES, UNLIMITED, KeyLimits
from components.config import StackConfig
from components.gateway_lua import CLOCK_SKEW_SECONDS
from components.instants import written
from components.keys import TOKEN_ISSUER, public_key
from components.names import SYSTEM, token_audience, token_subject
from scripts.token_reader import Token


def refusals(token: Token, config: StackConfig, instance: str, now: float, alone: Sequence[str] = ()) -> list[str]:
    """Return why the instance refuses the token, everything that there is; nothing where it accepts it.

    `alone` are its tenants that have stacks of their own.
    """
    if not config.data_api.authentication:
        return []  # it looks at none
    revoked = ["it was revoked"] if token.text_of("jti") in config.data_api.revoked_tokens else []
    limits = config.data_api.limits.get(token.kid or "", UNLIMITED)
    return [
        *_signature(token, config),
        *_claims(token, instance, [SYSTEM, *(tenant.name for tenant in config.tenants), *alone]),
        *_limits(token, limits, now),
        *revoked,
        *_times(token, now),
    ]


def _signature(token: Token, config: StackConfig) -> Iterator[str]:
    if token.header.get("alg") != "RS256":
        yield f"it is signed with {token.header.get('alg')!r}, but RS256 alone is accepted"
        return
    if token.kid is None:
        yield "its header names no key (kid)"
        return
    trusted = config.data_api.pems.get(token.kid)
    if trusted is None:
        yield f"the key {token.kid!r} that is said to have signed it is not among publicKeys"
        return
    try:
        jwt.decode(token.text, public_key(trusted), algorithms=["RS256"], options=_SIGNATURE_ALONE)
    except jwt.PyJWTError:
        yield f"it was not signed by the key {token.kid}, or was changed since"


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
            yield f"its scope is {claims['scope']!r}, and covers nothing; there are {', '.join(SCOPES)}"


def _limits(token: Token, limits: KeyLimits, now: float) -> Iterator[str]:
    if limits.tenants is not None and token.claims.get("sub") not in [token_subject(name) for name in limits.tenants]:
        yield f"its key may speak for {', '.join(limits.tenants)} alone"
    if limits.not_after is not None and now >= limits.not_after:
        yield f"its key is no longer accepted since {in_words(limits.not_after)}"
    scopes = {*(SCOPES if "scope" not in token.claims else (token.text_of("scope") or "").split(" "))}
    if limits.scopes is not None and not scopes & {*limits.scopes}:
        yield f"its key is for {', '.join(limits.scopes)} alone"


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
    """Return an instant, in seconds since the epoch, as people read it; the number where it is no date."""
    try:
        return written(seconds)
    except ValueError:
        return f"{seconds} s since 1970"
