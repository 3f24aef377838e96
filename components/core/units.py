"""Units of time and of quantities: how long `1y` is, and how much `20Mi` is.

A year has two lengths, and stacks and tokens depend on both:

- The retention of data counts 365 days, as Prometheus, Cortex and Loki do ('Time durations' in Prometheus's reference).
- The life of a token counts 365.25 days, as the first Opstrace did: its tokens lived for 10 years, 315,576,000 s.
"""

import re

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800  # seconds
RETENTION_YEAR = 365 * DAY
TOKEN_YEAR = 36_525 * DAY // 100

RETENTION_UNITS = {"h": HOUR, "d": DAY, "w": WEEK, "y": RETENTION_YEAR}
TOKEN_UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK, "y": TOKEN_YEAR}
INTERVAL_UNITS = {"s": 1, "m": MINUTE, "h": HOUR}
LONGEST_RETENTION = 100 * RETENTION_YEAR  # Cortex and Loki count nanoseconds in 64 bits, which hold 292 years

# Kubernetes, 'Resource units': the forms that people write, without zero.
QUANTITY = r"^(0*[1-9][0-9]*(\.[0-9]+)?|0+\.[0-9]*[1-9][0-9]*)(m|[KMGT]i?)?$"
QUANTITY_UNITS = {
    "": 1,
    "m": 0.001,
    "K": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def hours(duration: str) -> int:
    """Return a retention such as `30d` in hours; a year has 365 days.

    Raises:
        ValueError: the text has another form, or is longer than 100 years.
    """
    parts = re.fullmatch(r"([1-9]\d{0,6})([hdwy])", duration)
    if not parts:
        if duration.isdecimal():
            raise ValueError(
                f"{duration!r} has no unit; write {duration}d for days, or h, w or y for hours, weeks or years"
            )
        raise ValueError(f"{duration!r} is no duration such as 36h, 30d, 4w or 1y (a year has 365 days)")
    seconds = int(parts[1]) * RETENTION_UNITS[parts[2]]
    if seconds > LONGEST_RETENTION:
        raise ValueError(f"{duration!r} is more than a hundred years; 100y is the longest retention")
    return seconds // HOUR


def interval_seconds(interval: str) -> int:
    """Return an interval such as `30s`, `5m` or `1h` in seconds.

    Raises:
        ValueError: the text has another form.
    """
    parts = re.fullmatch(r"([1-9]\d{0,5})([smh])", interval, re.ASCII)
    if not parts:
        raise ValueError(f"{interval!r} is no interval such as 30s, 5m or 1h")
    return int(parts[1]) * INTERVAL_UNITS[parts[2]]


def amount(quantity: str) -> float:
    """Return the number that a quantity stands for; the text matches `QUANTITY`.

    `kubernetes.utils.parse_quantity` does the same, but importing it takes 0.25 s at every preview and every command.
    """
    number = quantity.rstrip("mKMGTi")
    return float(number) * QUANTITY_UNITS[quantity.removeprefix(number)]
