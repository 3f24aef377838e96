"""Durations and instants as the command takes and shows them: 12h, 90d, 10y, 2027-11-25T08:00:00Z."""

import re
import time

import click

from components.core.timestamps import instant
from components.core.units import DAY, HOUR, MINUTE, TOKEN_UNITS, TOKEN_YEAR

LONGEST = 10 * TOKEN_YEAR
AGE_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"))


def age_in_words(seconds: int | None) -> str:
    """Return an age in its largest unit, rounded down, such as 3d or 12s; `-` for None."""
    if seconds is None:
        return "-"
    for size, unit in AGE_UNITS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def seconds_of(text: str) -> int:
    """Return a duration in seconds; raises `ValueError` where it has another form, or is longer than ten years."""
    match = re.fullmatch(r"(\d{1,9})([smhdwy])", text, re.ASCII)
    if not match and re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError(f"{text!r} has no unit; write {text}d for days, {text}h for hours, or s, m, w or y")
    if not match:
        raise ValueError(f"{text!r} is no duration such as 12h, 90d, 2w or 1y (a year has 365.25 days)")
    seconds = int(match[1]) * TOKEN_UNITS[match[2]]
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text!r} must be longer than 0 s and 10y at most")
    return seconds


class Duration(click.ParamType[int]):
    """An option's value that is a duration; it comes as seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds; any other value is a usage error."""
        try:
            return value if isinstance(value, int) else seconds_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[int]):
    """An option's value that is an instant, or a duration from now; it comes as seconds since the epoch."""

    name = "instant"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the instant; any other value is a usage error."""
        if isinstance(value, int):
            return value
        text = str(value)
        is_duration = re.fullmatch(r"\d+[a-z]?", text)
        try:
            return int(time.time()) + seconds_of(text) if is_duration else instant(text)
        except ValueError as error:
            self.fail(f"{error}" if is_duration else f"{error}, or a duration from now such as 12h", param, ctx)
