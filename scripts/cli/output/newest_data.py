"""How commands show the age of the newest data in the system tenant."""

from collections.abc import Mapping
from typing import Any

from scripts.clients.back_ends import Kind
from scripts.tenants.reports.newest_data import NOUNS
from scripts.ui.durations import age_in_words
from scripts.ui.terminal import note


def ages_in_words(newest: Mapping[Kind, Mapping[str, Any]]) -> str:
    """Return the ages of all kinds on one line, from the form that `--json` has."""
    return ", ".join(_of_kind(kind, noun, newest[kind]) for kind, noun in NOUNS.items())


def _of_kind(kind: Kind, noun: str, one: Mapping[str, Any]) -> str:
    if not one["enabled"]:
        return f"{kind} not collected"
    if one["ageSeconds"] is None:
        return f"newest {noun} unknown"
    return f"newest {noun} {age_in_words(one['ageSeconds'])} old"


def note_reasons(newest: Mapping[Kind, Mapping[str, Any]]) -> None:
    """Print a note for each kind whose age is unknown."""
    for kind, noun in NOUNS.items():
        if newest[kind]["reason"]:
            note(f"the age of the newest {noun} is unknown: {newest[kind]['reason']}")
