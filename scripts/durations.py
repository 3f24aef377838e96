"""Durations and instants as the command takes them: 12h, 90d, 10y, 2027-11-25T08:00:00Z."""

import re
import time

import click

from components.instants import instant

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}  # a year has 365.25 days
YEAR = UNITS["y"]
LONGEST = 10 * YEAR  # the life of the original's tokens, 315,576,000 s


def seconds_of(text: str) -> int:
    """Return a duration in seconds; raises `ValueError` where it has another form, or is longer than ten years."""
    found = re.fullmatch(r"(\d{1,9})([smhdwy])", text, re.ASCII)
    if not found:
        raise ValueError(f"{text!r} is no duration such as 12h, 90d, 2w or 1y (a year has 365.25 days)")
    seconds = int(found[1]) * UNITS[found[2]]
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text!r} must be longer than nothing and 10y at most")
    return seconds


class Duration(click.ParamType[int]):
    """An option's value that is a duration; it comes as seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds; a value that is none is wrong usage."""
        try:
            return value if isinstance(value, int) else seconds_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[int]):
    """An option's value that is an instant, or a duration from now; it comes as seconds since the epoch."""

    name = "instant"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the instant; a value that is none is wrong usage."""
        if isinstance(value, int):
            return value
        text = str(value)
        try:
            return int(time.time()) + seconds_of(text) if re.fullmatch(r"\d+[a-z]", text) else instant(text)
        except ValueError as error:
            self.fail(f"{error}, or a duration from now such as 12h", param, ctx)
