"""The base class of all parts of the typed configuration, and the types and checks that several parts share.

A check returns the value that it was called with, or raises `ValueError` with every problem of the value. Pydantic adds
the name of the setting to the message.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from components.core.names import duplicates
from components.core.tags import OWN_PREFIX, RESERVED_PREFIX
from components.core.timestamps import is_of_engine
from components.core.units import QUANTITY, amount, hours

T = TypeVar("T")
NAME_PATTERN = r"^\S(.*\S)?$"
TAG_CHARACTER = r"[\w .:/=+\-@]"  # AWS, 'Tag naming limits and requirements'
TAG_KEY_LENGTH, TAG_VALUE_LENGTH = 128, 256


class Section(BaseModel):
    """A part of the configuration: camelCase names, no unknown ones, no changes after reading.

    Pydantic's own engine matches each `pattern`. Its `$` is the end of the text, whereas Python's lets a newline follow.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


@dataclass(frozen=True)
class Change:
    """What a change of a tenant's setting does to running pods.

    docs/reference/tenant-settings.md has a table of it. A test compares table and settings with what the program declares.

    Attributes:
        effect: In a few words.
        sentence: In a sentence.
    """

    effect: str
    sentence: str

    def kept(self) -> "Change":
        """Return this change for a setting that creates something: the engine deletes nothing of a protected tenant."""
        return Change(
            f"{self.effect}; to revert, remove the protection first",
            f"{self.sentence} If the tenant is protected, the change back is refused.",
        )


def restart(pods: str = "") -> Change:
    """Return the change that restarts pods, such as those ` of both back ends`."""
    return Change("rolling restart", f"A change restarts the pods{pods} one by one.")


LIVE = Change("live", "A change takes effect without a restart.")
RESTART = restart()
VOLUMES = Change(
    "new volumes", "A change replaces the pods and their volumes. Commands refuse it while a pod is not ready."
)
EFFECT = "x-effect"  # the keyword of JSON schemas


def setting(description: str, change: Change, **more: Any) -> Any:
    """Return the field of a tenant's setting, whose description and JSON schema say what a change does."""
    return Field(description=f"{description} {change.sentence}", json_schema_extra={EFFECT: change.effect}, **more)


class NotNull:
    """Mark an optional setting that refuses an empty value (see `reject_empty`): its JSON schema has no `null`."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema of the values other than null."""
        nullable = handler(schema)
        (values,) = (part for part in nullable.pop("anyOf") if part != {"type": "null"})
        return {**nullable, **values}


LEAST_BYTES = 2**20  # of memory and volumes: no program runs with less
LARGEST_EXACT = 2**63  # the engine rounds numbers from here on


def _text_of_float(value: Any) -> Any:
    """Return a float as the text of the same number, as the engine hands it over: 2.0 is 2. Other values stay."""
    if not isinstance(value, float) or not abs(value) < LARGEST_EXACT:
        return value
    return str(int(value)) if value.is_integer() else float.__repr__(value)


# A quantity of Kubernetes. Not pydantic's ByteSize: it refuses 64Ki, and reads 500m as 500 megabytes. Kubernetes reads half a
# byte. It may be a number with a fraction, which other texts may not: 1.1 and 1.10 are the same quantity.
Quantity = Annotated[str, Field(pattern=QUANTITY), BeforeValidator(_text_of_float)]


def _whole_mebibytes(value: str) -> str:
    """Return a quantity of bytes; raises `ValueError` for less than a mebibyte, where a unit was left out."""
    if amount(value) >= LEAST_BYTES:
        return value
    unit = f"it has no unit; write {value}Gi or {value}Mi" if value.isdecimal() else "write 10Gi or 256Mi"
    raise ValueError(f"{value!r} is {amount(value):g} bytes: {unit}, or another quantity of at least 1Mi")


# A quantity of memory or of a volume.
Bytes = Annotated[Quantity, AfterValidator(_whole_mebibytes)]

# The name of something that the instance uses and does not create.
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


def value_without_problems(problems: list[str], value: T) -> T:
    """Return `value` if the list of problems is empty.

    Raises:
        ValueError: there are problems. The text has all of them.
    """
    if problems:
        raise ValueError("; ".join(problems))
    return value


def reject_empty(value: Any) -> Any:
    """Return the value of a setting that limits something.

    Raises:
        ValueError: the setting has no value. A user who deletes the value of a limit must not lift the limit by that.
    """
    if value is None:
        raise ValueError("is empty; give it a value, or remove the line: then there is no such limit")
    return value


def without_duplicates(names: list[str]) -> list[str]:
    """Return `names`.

    Raises:
        ValueError: some names occur more than once.
    """
    twice = duplicates(names)
    return value_without_problems(
        [f"given more than once: {', '.join(twice)}; remove all but one of each"] if twice else [], names
    )


def _is_tag_text(text: str, shortest: int, longest: int) -> bool:
    return shortest <= len(text) <= longest and re.fullmatch(f"{TAG_CHARACTER}*", text) is not None


def date_problem(text: str) -> str | None:
    """Return why a text is refused that the engine made of a date without quotes, None for any other text."""
    return f"{text!r} is what the engine makes of a date; write the date in quotes" if is_of_engine(text) else None


def checked_tags(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags.

    Raises:
        ValueError: a tag is reserved, or AWS does not accept it.
    """
    problems = [
        f"the tag {key!r} is reserved: keys that begin with {RESERVED_PREFIX!r} are AWS's, those with "
        f"{OWN_PREFIX!r} are Opstrace's; choose another key"
        for key in tags
        if key.startswith((RESERVED_PREFIX, OWN_PREFIX))
    ]
    problems += [
        f"AWS does not accept the tag {key!r}: {value!r}. Use 1 to {TAG_KEY_LENGTH} characters for a key, at most "
        f"{TAG_VALUE_LENGTH} for a value: letters, digits, spaces and _.:/=+-@"
        for key, value in tags.items()
        if not (_is_tag_text(key, 1, TAG_KEY_LENGTH) and _is_tag_text(value, 0, TAG_VALUE_LENGTH))
    ]
    problems += [problem for value in tags.values() if (problem := date_problem(value))]
    return value_without_problems(problems, tags)


# URLs are not of pydantic's type HttpUrl: it adds a slash to a URL without a path, which would change resources in the
# state, and it accepts a user name and a password.
def endpoint_host(url: str) -> str | None:
    """Return the host of an HTTP URL such as `https://192.0.2.1:8443`, None for any other text."""
    parts = re.fullmatch(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/\S*)?", url)
    return parts[1].strip("[]").lower() if parts else None


# Ranges are not of pydantic's type IPv4Network: it also accepts a netmask, a lone address and a number, and writes them in
# CIDR form. A range would then differ between the stack file and the gateway's configuration.
def range_problem(text: str) -> str | None:
    """Return why a text is not an IPv4 range in CIDR form, None if it is one."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        return f"{text!r} is not an IPv4 range such as 203.0.113.0/24: {error}"
    if str(network) == text:
        return None
    return f"{text!r} is not an IPv4 range in CIDR form; write {str(network)!r}"


def checked_ranges(ranges: list[str]) -> list[str]:
    """Return the ranges.

    Raises:
        ValueError: some are not IPv4 ranges, or occur more than once.
    """
    return value_without_problems(
        [problem for entry in ranges if (problem := range_problem(entry))], without_duplicates(ranges)
    )


def _checked_duration(duration: str) -> str:
    hours(duration)  # raises ValueError for an invalid duration
    return duration


Duration = Annotated[str, AfterValidator(_checked_duration)]


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` merged into it, mapping by mapping. Values of `over` win."""
    both = {
        name: merged(base[name], value) if isinstance(value, dict) and isinstance(base.get(name), dict) else value
        for name, value in over.items()
    }
    return base | both
