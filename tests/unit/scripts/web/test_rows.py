"""The rows of the list: a browser gets those that differ from what it shows, and the ids of the others."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from scripts.stackfile.file import StackFile
from scripts.web.data.rows import MOST_ANSWERS
from tests.support.factories import settings
from tests.support.page import Browser, Site

TENANTS = ["default", "ops", "shop", "system"]


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default", "owner": "zoe"}, {"name": "ops", "owner": "Ann"}, {"name": "shop"}])


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.browser()


def mark(answer: str) -> str:
    """Return the mark of an answer."""
    (found,) = re.findall(r'data-mark="(\w+)"', answer)
    return str(found)


def rows(browser: Browser, shown: str, query: str = "") -> tuple[list[str], list[str], str]:
    """Return the tenants whose rows come whole, those of which only the id comes, and the mark of the answer."""
    answer = browser.client.get(f"/rows?{query}", headers={"Rows-Shown": shown}).text
    whole = re.findall(r'<tr id="tenant-(\w+)">\s*<th', answer)
    ids = re.findall(r'<tr id="tenant-(\w+)" data-shown></tr>', answer)
    assert len(whole) + len(ids) == answer.count('<tr id="tenant-')
    return whole, ids, mark(answer)


def set_owner(site: Site, tenant: int, owner: str) -> None:
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants")[tenant]["owner"] = owner
    file.write()


def test_only_rows_that_changed_come_again(site: Site, browser: Browser) -> None:
    first = mark(browser.get("/"))
    assert rows(browser, first) == ([], TENANTS, first)
    set_owner(site, 1, "Bob")
    whole, ids, second = rows(browser, first)
    assert (whole, ids) == (["ops"], ["default", "shop", "system"]) and second != first
    assert rows(browser, second) == ([], TENANTS, second)
    assert rows(browser, first)[0] == ["ops"]  # of a browser that has not got the answer between


def test_a_filter_leaves_rows_out_that_come_again_after_it(site: Site, browser: Browser) -> None:
    whole, ids, fewer = rows(browser, mark(browser.get("/")), "filter=ann")
    assert (whole, ids) == ([], ["ops"])
    whole, ids, _ = rows(browser, fewer)
    assert (whole, ids) == (["default", "shop", "system"], ["ops"])


def test_another_order_needs_no_rows(browser: Browser) -> None:
    whole, ids, _ = rows(browser, mark(browser.get("/")), "sort=name&order=descending")
    assert (whole, ids) == ([], TENANTS[::-1])


def test_browsers_with_other_filters_do_not_disturb_each_other(site: Site, browser: Browser) -> None:
    other = site.browser()
    shown, shown_to_other = mark(browser.get("/")), mark(other.get("/?filter=ann"))
    set_owner(site, 0, "Ann B")
    assert rows(browser, shown)[:2] == (["default"], ["ops", "shop", "system"])
    assert rows(other, shown_to_other, "filter=ann")[:2] == (["default"], ["ops"])


@pytest.mark.parametrize("shown", ["", "0123456789abcdef", "<script>"])
def test_a_browser_that_shows_nothing_known_gets_all_rows(browser: Browser, shown: str) -> None:
    browser.get("/")
    whole, ids, given = rows(browser, shown)
    assert (whole, ids) == (TENANTS, []) and given != shown
    assert rows(browser, shown, "filter=nobody")[:2] == ([], [])


def test_the_newest_answers_are_remembered(site: Site, browser: Browser) -> None:
    first = mark(browser.get("/"))
    for _ in range(MOST_ANSWERS - 1):
        browser.get("/rows")
    assert rows(browser, first)[1] == TENANTS  # its use makes it new
    for _ in range(MOST_ANSWERS):
        browser.get("/rows")
    assert rows(browser, first)[0] == TENANTS


def test_rows_of_deleted_tenants_are_forgotten(site: Site, browser: Browser) -> None:
    browser.get("/")
    file = StackFile("showdown", site.stack.parent)
    file.set("tenants", [{"name": "default"}, {"name": "ops"}])
    file.write()
    browser.get("/rows?filter=ops")
    assert {*site.page.rows._made} == {*TENANTS}  # an answer to a filter does not tell which are deleted
    browser.get("/rows")
    assert {*site.page.rows._made} == {*TENANTS} - {"shop"}
