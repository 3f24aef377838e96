"""Instants as people read them, in RFC 3339 and UTC, and as tokens hold them, in seconds since the epoch."""

import re
from datetime import UTC, datetime

FORM = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)"


def instant(text: str) -> int:
    """Return the seconds since the epoch of an RFC 3339 instant; raises `ValueError` with what is wrong."""
    problem = f"{text!r} is no instant such as 2027-11-25T08:00:00Z, with its time zone (RFC 3339)"
    if not re.fullmatch(FORM, text, re.ASCII):
        raise ValueError(problem)
    try:
        return int(datetime.fromisoformat(text.upper()).timestamp())
    except (ValueError, OverflowError) as error:
        raise ValueError(problem) from error


def written(seconds: float) -> str:
    """Return an instant, in seconds since the epoch, as RFC 3339 writes it in UTC.

    Raises `ValueError` where it is beyond the years that can be written, 1 to 9999.
    """
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds} seconds since the epoch is no date that can be written") from error
