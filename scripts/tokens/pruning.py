"""The list of revoked tokens: which entries can be removed."""

from collections.abc import MutableMapping

from components.core.timestamps import instant

PRUNE_AFTER_SECONDS = 300  # more than clocks differ: every gateway refuses a token that expired so long ago


def prune(listed: MutableMapping[str, str], now: float) -> int:
    """Remove the entries of expired tokens from the list; return their number. Other entries stay as they are."""
    expired = [token_id for token_id, end in listed.items() if _has_expired(end, now)]
    for token_id in expired:
        del listed[token_id]
    return len(expired)


def _has_expired(end: str, now: float) -> bool:
    try:
        return instant(end) < now - PRUNE_AFTER_SECONDS
    except ValueError:  # the check of the stack file reports it
        return False
