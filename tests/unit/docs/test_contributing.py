"""The table "I want to … → look here" of CONTRIBUTING.md names files that exist."""

import re

import pytest

from tests.support.shell import ROOT

ROWS = re.findall(r"^\| ([a-z].+?) \| (.*`.+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
PATH = re.compile(r"`([\w{},./*<>-]+(?:/|\.py|\.lua|\.json))`")


def alternatives(path: str) -> list[str]:
    """Return the paths that braces stand for."""
    match = re.search(r"\{([^{}]+)\}", path)
    if not match:
        return [path]
    return [path[: match.start()] + part + path[match.end() :] for part in match[1].split(",")]


def missing(places: str) -> list[str]:
    """Return the paths of a row that do not exist. A bare file name is in the folder of a path before it."""
    folder, absent = "", []
    for path in [entry for text in PATH.findall(places) for entry in alternatives(text)]:
        pattern = re.sub(r"<\w+>", "*", path) if "/" in path else f"{folder}/{path}"
        folder = pattern.rpartition("/")[0]
        if not [*ROOT.glob(pattern.rstrip("/"))]:
            absent.append(pattern)
    return absent


def test_the_table_has_the_rows_that_a_newcomer_needs() -> None:
    assert len([places for _, places in ROWS if PATH.search(places)]) >= 40


@pytest.mark.parametrize(("change", "places"), [row for row in ROWS if PATH.search(row[1])])
def test_the_files_of_a_row_exist(change: str, places: str) -> None:
    assert missing(places) == []


def test_a_file_that_does_not_exist_is_found() -> None:
    assert missing("`scripts/cli/{create,destroyed}.py`, `gone.py`") == [
        "scripts/cli/destroyed.py",
        "scripts/cli/gone.py",
    ]
