"""docs/security.md names tests and tables that exist, and every item of RFC 8725."""

import re
from pathlib import Path

import pytest

from tests.security import tokens

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()
ITEMS = [f"3.{number}" for number in range(1, 13)]
TESTS = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("name", sorted({*re.findall(r"`(test_\w+)`", PAGE)}))
def test_a_test_that_the_page_names_exists(name: str) -> None:
    assert f"\ndef {name}(" in TESTS


def test_the_tables_that_the_page_names_are_of_hostile_requests() -> None:
    named = {*re.findall(r"table `(\w+)`", PAGE)}
    sent = [row.name for row in tokens.TABLE]
    assert named and [row.name for name in named for row in getattr(tokens, name) if row.name not in sent] == []


@pytest.mark.parametrize("item", ITEMS)
def test_each_item_of_the_rfc_has_its_row_and_what_shows_it(item: str) -> None:
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith(f"| {item} ")]
    assert len(rows) == 1
    _, how, shown = rows[0]
    assert "`" in shown or "**not met**" in how
