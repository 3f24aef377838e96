"""Rules about the ends of public keys and of tokens.

The settings alone know when a key ends, so a rule records that. Of tokens, the gateway knows those that clients use.
"""

from collections.abc import Mapping

from components.collectors.rules.gateway import REQUESTS
from components.collectors.rules.rule import Alert, Group, Recording, rose_or_appeared
from components.collectors.rules.selectors import recorded
from components.core.scopes import TOKEN_ENDS_DAYS, TOKEN_ENDS_PREFIX
from components.core.units import DAY

TOKEN_ENDS = f'envoy_http_rbac_shadow_allowed_total{{{REQUESTS},envoy_rbac_http_prefix="{TOKEN_ENDS_PREFIX}"}}'
"""Requests with a token that is near its end. A gateway that never had one has no such series."""
ENDS = "opstrace_key_not_after_seconds"
DAYS = 14


def group(ends: Mapping[str, int]) -> Group:
    """Return the rules for keys that end, with the time of their end in seconds since the epoch, by key id."""
    recordings = [
        Recording(record=ENDS, expr=f"vector({seconds})", labels={"key": key}) for key, seconds in sorted(ends.items())
    ]
    alert = Alert(
        name="KeyExpires",
        # One that ended is no news any more: `status` lists it.
        expr=f"-{DAY} < {recorded(ENDS)} - time() < {DAYS * DAY}",
        minutes=0,
        severity="warning",
        summary="Tokens of the key {{ $labels.key }} are refused in {{ $value | humanizeDuration }}.",
    )
    of_tokens = Alert(
        name="TokenExpires",
        # Samples of an old series can be missing just an hour ago.
        expr=f"sum({rose_or_appeared(TOKEN_ENDS, '1h', f'count_over_time({TOKEN_ENDS}[1d] offset 1h)')}) > 0",
        minutes=0,
        severity="warning",
        summary=f"Clients use tokens that end within {TOKEN_ENDS_DAYS} days.",
    )
    return Group(name="keys", rules=[*recordings, alert, of_tokens])
