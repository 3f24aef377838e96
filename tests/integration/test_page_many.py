"""The list of 1,000 tenants in Chromium: what it costs to filter, sort and scroll it, and to follow figures.

The bounds are on nodes and bytes. Times depend on what else the machine does.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.stackfile.file import StackFile
from tests.support.browser import SECONDS, chromium
from tests.support.many_tenants import name_of, set_load
from tests.support.served_page import ServedPage, served
from tests.support.shell import ROOT

TENANTS = 1000
ALL = f"{TENANTS + 2} of {TENANTS + 2} tenants."  # with `default` and `system`
WITH_3 = 1000 - 9**3  # tenants with a 3 in their name or owner
COUNT_ROW = 50  # more than the nodes of updates of the row with the number of tenants
WATCH = """() => {
    window.nodes = 0;
    new MutationObserver((records) => {
        for (const one of records) nodes += one.addedNodes.length + one.removedNodes.length;
    }).observe(document.getElementById("rows"), {childList: true, subtree: true});
}"""
COST = """async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    const answers = performance.getEntriesByType("resource").filter((one) => new URL(one.name).pathname === "/rows");
    return [nodes, answers.reduce((sum, one) => sum + one.decodedBodySize, 0)];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


@pytest.fixture(scope="module")
def started(folder: Path) -> Iterator[ServedPage]:
    command = [sys.executable, "-P", "-m", "tests.support.many_tenants", str(folder), str(TENANTS)]
    with served(command, cwd=ROOT) as one:
        yield one


@pytest.fixture
def page(started: ServedPage, browser: Browser) -> Iterator[Page]:
    """The list, once it has all figures."""
    page, problems = started.open(browser)
    page.goto(started.site)
    expect(page.locator("#count")).to_have_text(ALL)
    expect(page.locator("#rows svg")).to_have_count(3 * TENANTS)
    expect(page.locator("#rows tr", has_text="0 B")).to_have_count(TENANTS + 2)
    page.evaluate(WATCH)
    yield page
    assert problems == []
    page.context.close()


def cost(page: Page, act: Callable[[], None]) -> tuple[int, int]:
    """Return how many nodes of the list came and went during an action, and the bytes of the answers with rows."""
    page.evaluate("() => { nodes = 0; performance.clearResourceTimings(); }")
    act()
    nodes, size = page.evaluate(COST)
    return int(nodes), int(size)


@pytest.fixture
def whole(page: Page, started: ServedPage) -> int:
    """Return the bytes of an answer with all rows."""
    return len(page.request.get(f"{started.site}/rows").body())


def filtered(page: Page, words: str, tenants: int) -> Callable[[], None]:
    """Return the action that types words into the filter, and waits for so many tenants."""

    def act() -> None:
        page.get_by_label("Filter").press("Control+A")
        page.get_by_label("Filter").press("Delete")
        page.get_by_label("Filter").press_sequentially(words, delay=50)
        expect(page.locator("#count")).to_have_text(f"{tenants} of {TENANTS + 2} tenants.")

    return act


def test_a_filter_costs_only_the_rows_that_come_or_go(page: Page, whole: int) -> None:
    others = TENANTS + 2 - WITH_3
    nodes, size = cost(page, filtered(page, "team 3", WITH_3))
    assert others <= nodes < others + COUNT_ROW and 0 < size < whole / 2
    nodes, size = cost(page, filtered(page, "", TENANTS + 2))
    assert others <= nodes < others + COUNT_ROW and 0 < size < whole


def test_figures_of_all_tenants_cost_only_their_cells_while_the_list_is_scrolled(page: Page, folder: Path) -> None:
    cell = page.locator("#tenant-tenant0500 td").nth(2)

    def change() -> None:
        before = cell.inner_text()
        set_load(folder, 2)
        page.mouse.move(300, 300)
        ends = time.monotonic() + SECONDS
        while cell.inner_text() == before:
            assert time.monotonic() < ends
            page.mouse.wheel(0, 400)
            page.wait_for_timeout(50)

    nodes, _ = cost(page, change)
    assert TENANTS <= nodes < 2 * 3 * TENANTS + COUNT_ROW  # the old cells and the new ones
    assert page.evaluate("scrollY") > 0


def test_a_change_of_one_tenant_costs_only_its_row(page: Page, folder: Path, whole: int) -> None:
    def change() -> None:
        stack = StackFile("showdown", folder)
        stack.entry("tenants")[501]["owner"] = "Ann"
        stack.write()
        expect(page.locator("#tenant-tenant0500 td").nth(8)).to_have_text("Ann")

    nodes, size = cost(page, change)
    assert 0 < nodes < 20 and 0 < size < whole / 4


def test_the_list_is_sorted(page: Page) -> None:
    heading = page.get_by_role("columnheader", name="Samples/s")
    for first in ("tenant-default", f"tenant-{name_of(TENANTS - 1)}"):  # `default` has no figures
        heading.get_by_role("link").click()
        expect(page.locator("#rows tr").first).to_have_id(first)
