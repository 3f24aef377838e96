"""Timestamps: as RFC 3339 texts for people, and in seconds since the epoch as tokens contain them.

Pydantic's `AwareDatetime` accepts integers and other forms too, so the form is our own.
"""

import re
from datetime import UTC, datetime

FORM = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)"


# What the engine makes of a timestamp without quotes in YAML: Go's `time.Time.String()`.
FORM_OF_ENGINE = r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d\d)(\d\d) [A-Z0-9+-]+"


def is_of_engine(text: str) -> bool:
    """Tell whether a text is a timestamp as the engine hands it over."""
    return re.fullmatch(FORM_OF_ENGINE, text, re.ASCII) is not None


def instant_of_engine(text: str) -> int:
    """Return the seconds since the epoch of a timestamp in any form that the engine hands over.

    Raises:
        ValueError: The text has another form, or is no date.
    """
    if is_of_engine(text):
        return instant(re.sub(FORM_OF_ENGINE, r"\1T\2\3:\4", text, flags=re.ASCII))
    # YAML lets a space precede the zone. The engine takes that for a text.
    return instant(re.sub(r"(?<=\d) (?=([+-]\d\d:\d\d|Z)$)", "", text))


def instant(text: str) -> int:
    """Return the seconds since the epoch of an RFC 3339 timestamp.

    Raises:
        ValueError: The text has another form, or is no date.
    """
    problem = f"{text!r} is no RFC 3339 timestamp with a time zone, such as 2027-11-25T08:00:00Z"
    if not re.fullmatch(FORM, text, re.ASCII):
        raise ValueError(problem)
    try:
        return int(datetime.fromisoformat(text.upper()).timestamp())
    except (ValueError, OverflowError) as error:
        raise ValueError(problem) from error


def format_rfc3339(seconds: float) -> str:
    """Return a time in seconds since the epoch as an RFC 3339 timestamp in UTC.

    Raises:
        ValueError: The year is not between 1 and 9999.
    """
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds} seconds since the epoch is outside the years 1 to 9999") from error
