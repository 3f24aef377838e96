"""What a check found: a level, a message, and the remedy."""

from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: What was checked, such as `subnets`.
        level: `error` where an update would fail, or where the instance would not answer or would not be safe.
        message: What is the case, with the values.
        remedy: What the reader can do; '' for `ok`.
    """

    name: str
    level: Level
    message: str
    remedy: str = ""

    def plain(self) -> dict[str, str]:
        """Return the finding as `--json` has it."""
        return asdict(self)

    def in_words(self) -> str:
        """Return the finding in one line, without its level."""
        return f"{self.name}: {self.message}{f'; {self.remedy}' if self.remedy else ''}"


def ok(name: str, message: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(name, "ok", message)


def warning(name: str, message: str, remedy: str) -> Finding:
    """Return a finding that an update can live with."""
    return Finding(name, "warning", message, remedy)


def error(name: str, message: str, remedy: str) -> Finding:
    """Return a finding with which an update must not begin."""
    return Finding(name, "error", message, remedy)


def or_ok(findings: list[Finding], name: str, message: str) -> list[Finding]:
    """Return the findings, or one that all is well where there are none."""
    return findings or [ok(name, message)]
