"""A token in words, line by line, as `ta-inspect-token` prints it. Nothing of it is verified."""

from components.core.names import AUDIENCE_PREFIX, SUBJECT_PREFIX
from components.core.units import DAY
from scripts.tokens.parse import Token
from scripts.tokens.verify import in_words


def description(token: Token, now: float) -> dict[str, str]:
    """Return what the token states, by the name of each line; `now` is in seconds since the epoch."""
    audience, subject = token.text_of("aud") or "", token.text_of("sub") or ""
    scope = token.claims.get("scope", "everything of its tenant, for it has no scope")
    start, issued = token.seconds_of("nbf"), token.seconds_of("iat")
    return {
        "tenant": repr(subject.removeprefix(SUBJECT_PREFIX))
        if subject.startswith(SUBJECT_PREFIX)
        else f"none (sub {subject!r})",
        "instance": repr(audience.removeprefix(AUDIENCE_PREFIX))
        if audience.startswith(AUDIENCE_PREFIX)
        else f"none (aud {audience!r})",
        "allows": scope if isinstance(scope, str) and scope.isprintable() else repr(scope),
        "issued": "unknown" if issued is None else in_words(issued),
        **({} if start is None else {"valid from": in_words(start)}),
        "valid until": _end(token.seconds_of("exp"), now),
        "id": repr(token.claims["jti"]) if "jti" in token.claims else "none: it can be taken back with its key alone",
        "signed by": f"key {token.kid!r}, by its own word, with {token.header.get('alg')!r}",
    }


def _end(expires: int | None, now: float) -> str:
    if expires is None:
        return "for ever: no instance accepts that"
    days = abs(expires - now) / DAY
    return f"{in_words(expires)} ({f'in {days:.0f} days' if expires > now else f'{days:.0f} days ago'})"
