"""Rules about the public keys of the instance. The settings alone know when a key ends, so a rule records that."""

from collections.abc import Mapping

from components.collectors.rules.rule import Alert, Group, Recording
from components.core.units import DAY

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
        expr=f"-{DAY} < {ENDS} - time() < {DAYS * DAY}",
        minutes=0,
        severity="warning",
        summary="Tokens of the key {{ $labels.key }} are refused in {{ $value | humanizeDuration }}.",
    )
    return Group(name="keys", rules=[*recordings, alert])
