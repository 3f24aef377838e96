"""What all parts of the typed configuration share."""

import ipaddress
import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from components.names import doubles

T = TypeVar("T")
MOST_HOURS = 100 * 365 * 24  # the back ends count in nanoseconds of 64 bits
QUANTITY = r"^(?!0+(\.0+)?\D*$)\d+(\.\d+)?(m|[KMGT]i?)?$"  # Kubernetes, 'Resource units'; the forms that people write
UNITS = {"m": 0.001, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
HOURS = {"h": 1, "d": 24, "w": 7 * 24, "y": 365 * 24}


class Section(BaseModel):
    """A part of the configuration: camelCase names, no unknown ones, no changes after reading."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, regex_engine="python-re")


def raise_all(problems: list[str], value: T) -> T:
    """Return `value`; raises `ValueError` with all problems, if any."""
    if problems:
        raise ValueError("; ".join(problems))
    return value


def limit_said(value: Any) -> Any:
    """Return the value of a setting that limits something; raises `ValueError` for a line without one.

    A line whose value was deleted must not open what it closed.
    """
    if value is None:
        raise ValueError("is empty; give it a value, or remove the line: then there is no such limit")
    return value


def without_doubles(names: list[str]) -> list[str]:
    """Return `names`; raises `ValueError` naming those that are given more than once."""
    twice = doubles(names)
    return raise_all([f"given more than once: {', '.join(twice)}"] if twice else [], names)


def range_problem(text: str) -> str | None:
    """Return what is wrong with an IPv4 range in CIDR form, None where nothing is."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        return f"{text!r} is no IPv4 range such as 203.0.113.0/24: {error}"
    return None if str(network) == text else f"{text!r} must be written {str(network)!r}: the rest is no part of it"


def checked_ranges(ranges: list[str]) -> list[str]:
    """Return the ranges; raises `ValueError` with all that are none, or are there twice."""
    return raise_all([problem for entry in ranges if (problem := range_problem(entry))], without_doubles(ranges))


def hours(duration: str) -> int:
    """Return a duration such as `30d` in hours; raises `ValueError` where it is none."""
    found = re.fullmatch(r"([1-9]\d{0,6})([hdwy])", duration)
    if not found:
        raise ValueError(f"{duration!r} is no duration such as 36h, 30d, 4w or 1y")
    total = int(found[1]) * HOURS[found[2]]
    if total > MOST_HOURS:
        raise ValueError(f"{duration!r} is more than a hundred years")
    return total


def _checked(duration: str) -> str:
    hours(duration)
    return duration


Duration = Annotated[str, AfterValidator(_checked)]


def amount(quantity: str) -> float:
    """Return the number that a text which matches `QUANTITY` stands for."""
    number = re.match(r"[\d.]+", quantity)
    assert number
    return float(number[0]) * UNITS.get(quantity[number.end() :], 1)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with what `over` says laid upon it, mapping by mapping."""
    both = {
        name: merged(base[name], value) if isinstance(value, dict) and isinstance(base.get(name), dict) else value
        for name, value in over.items()
    }
    return base | both
