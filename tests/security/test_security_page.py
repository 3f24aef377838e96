"""The pages on security name tests and tables that exist, and every item of RFC 8725."""

import re
from pathlib import Path

import pytest

from tests.security import tokens

ROOT = Path(__file__).parent.parent.parent
PAGES = ("explanation/security.md", "reference/rfc-8725.md", "reference/supply-chain.md", "reference/quotas.md")
TEXTS = {page: (ROOT / "docs" / page).read_text() for page in PAGES}
NAMED = {page: {*re.findall(r"`(test_\w+)`", text)} for page, text in TEXTS.items()}
RFC = TEXTS["reference/rfc-8725.md"]
ITEMS = [f"3.{number}" for number in range(1, 13)]
TESTS = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))


def test_each_page_names_tests() -> None:
    assert [page for page, names in NAMED.items() if not names] == []
    assert len({*NAMED["explanation/security.md"]}) > 20


@pytest.mark.parametrize("name", sorted(set().union(*NAMED.values())))
def test_a_test_that_a_page_names_exists(name: str) -> None:
    assert f"\ndef {name}(" in TESTS


def test_the_tables_that_the_page_names_are_of_hostile_requests() -> None:
    named = {*re.findall(r"table `(\w+)`", RFC)}
    sent = [row.name for row in tokens.TABLE]
    assert named and [row.name for name in named for row in getattr(tokens, name) if row.name not in sent] == []


@pytest.mark.parametrize("item", ITEMS)
def test_each_item_of_the_rfc_has_its_row_and_what_shows_it(item: str) -> None:
    rows = [line.split("|")[1:-1] for line in RFC.splitlines() if line.startswith(f"| {item} ")]
    assert len(rows) == 1
    _, how, shown = rows[0]
    assert "`" in shown or "**not met**" in how
