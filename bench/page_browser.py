"""How smooth the list of 1,000 tenants is in Chromium: `.venv/bin/python -m bench.page_browser`, as root.

While a task of the browser runs, it takes no key and draws nothing. Chromium reports tasks of 50 ms and more; 0 stands for
shorter ones. Two of them lay out all rows: that of a filter that is cleared, and that of figures, each 30 seconds. Server
and browser share the machine. `bench.page` measures what the server takes for a list.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from bench.figure import Figure, finish
from scripts.stackfile.file import ROOT
from tests.support.browser import chromium
from tests.support.many_tenants import set_load
from tests.support.served_page import served

TITLE = "The list in Chromium"
TENANTS = 1000
LISTED = TENANTS + 2  # with `default` and `system`
TIMES = 5
MOST_OF_SOME, MOST_OF_ALL = 0.2, 0.5  # seconds, for a task about some rows, and about all of them
WORDS, FOUND = "team 3", 1000 - 9**3  # and how many tenants have them
KEY_MILLISECONDS = 100  # between two keys of a fast typist
OBSERVE = """() => {
    window.longest = 0;
    const note = (entries) => { for (const one of entries) longest = Math.max(longest, one.duration); };
    window.observer = new PerformanceObserver((list) => note(list.getEntries()));
    observer.observe({type: "longtask"});
    window.end = () => { note(observer.takeRecords()); const found = longest; longest = 0; return found / 1000; };
}"""
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))"


def _longest(page: Page, act: Callable[[], None]) -> float:
    """Act, and return the seconds of the longest task meanwhile."""
    page.evaluate("end()")
    act()
    page.evaluate(DRAWN)
    return float(page.evaluate("end()"))


def _type(page: Page) -> None:
    """Type words into the filter, and wait for their rows."""
    page.get_by_label("Filter").press_sequentially(WORDS, delay=KEY_MILLISECONDS)
    expect(page.locator("#count")).to_have_text(f"{FOUND} of {LISTED} tenants.")


def _clear(page: Page) -> None:
    """Clear the filter, and wait for all rows."""
    page.get_by_label("Filter").press("Control+A")
    page.get_by_label("Filter").press("Delete")
    expect(page.locator("#count")).to_have_text(f"{LISTED} of {LISTED} tenants.")


def _scroll(page: Page) -> None:
    """Scroll through the list."""
    page.mouse.move(300, 300)
    for height in (2000, -2000):
        for _ in range(10):
            page.mouse.wheel(0, height)
            page.wait_for_timeout(50)


class _Rounds:
    """Rounds of the page, each with other figures of all tenants."""

    def __init__(self, page: Page, folder: Path) -> None:
        self._page, self._folder, self._load = page, folder, 1

    def follow(self) -> None:
        """Wait until the list shows the figures of the next round."""
        cell = self._page.locator("#rows tr").nth(TENANTS // 2).locator("td").nth(2)
        before = cell.inner_text()
        self._load += 1
        set_load(self._folder, self._load)
        expect(cell).not_to_have_text(before)


def measure() -> list[Figure]:
    """Measure the longest tasks of the browser."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-P", "-m", "tests.support.many_tenants", name, str(TENANTS)]
        with served(command, cwd=ROOT) as started, chromium() as browser:
            page, _ = started.open(browser)
            expect(page.locator("#rows svg")).to_have_count(3 * TENANTS)
            page.evaluate(OBSERVE)
            steps = (
                ("a filter is typed", MOST_OF_SOME, lambda: _type(page)),
                ("a filter is cleared", MOST_OF_ALL, lambda: _clear(page)),
                ("the list is scrolled", MOST_OF_SOME, lambda: _scroll(page)),
                ("figures come", MOST_OF_ALL, _Rounds(page, Path(name)).follow),
            )
            times = [[_longest(page, act) for *_, act in steps] for _ in range(TIMES)]
    figures = []
    for (what, most, _), seconds in zip(steps, zip(*times, strict=True), strict=True):
        of_all = f"{what}, {TENANTS:,} tenants"
        figures.append(Figure(f"longest task while {of_all}", statistics.median(seconds), "s", most=most))
        figures.append(Figure(f"longest of {TIMES} times while {of_all}", max(seconds), "s"))
    return figures


if __name__ == "__main__":
    finish(TITLE, measure())
