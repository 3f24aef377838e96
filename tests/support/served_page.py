"""The page of a command that serves it, used in Chromium: each browser begins with the newest link of its output."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.support.browser import SECONDS, without_problems


class ServedPage:
    """A process that serves a page, and whose standard error has a link for each browser."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._links: Queue[str] = Queue()
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.said.append(line)
            for link in re.findall(r"http://\S+", line):
                self._links.put(link)

    def open(self, browser: Browser, **options: Any) -> tuple[Page, list[str]]:
        """Return the page in a new browser with a session, and the list of its problems; `options` are Playwright's."""
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(SECONDS * 1000)
        problems = without_problems(page)
        page.goto(self._links.get(timeout=SECONDS))
        expect(page.get_by_role("heading", name="Tenants")).to_be_visible()
        return page, problems

    @property
    def site(self) -> str:
        """The page's address, without a path."""
        link = next(link for line in self.said for link in re.findall(r"(http://[^/\s]+)/", line))
        return str(link)


@contextmanager
def served(command: list[str], **options: Any) -> Iterator[ServedPage]:
    """Serve a page by a command until the block ends; `options` are those of `Popen`."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            yield ServedPage(process)
        finally:
            process.terminate()  # unlike a kill, it lets the page remove its files and end its updates
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def show_plan(page: Page, tenant: str, *, own_stack: bool = False, on_delete: str = "") -> None:
    """Fill in the form of a new tenant, and let the page show its plan."""
    page.get_by_role("link", name="Tenants", exact=True).press("Enter")
    page.get_by_role("link", name="Add a tenant").press("Enter")
    page.get_by_label("Name", exact=True).fill(tenant)
    if own_stack:
        page.get_by_label("A stack of its own").check()
    page.get_by_label("onDelete").select_option(on_delete)
    page.get_by_role("button", name="Show the plan").press("Enter")
    expect(page.get_by_text(f"1 tenant to add ({tenant})")).to_be_visible()


def apply(page: Page) -> None:
    """Confirm the plan that a page shows."""
    page.get_by_role("button", name="Apply", exact=True).press("Enter")


def wait_for_end(page: Page) -> None:
    """Wait until the change that a page shows has ended well."""
    expect(page.get_by_role("status")).to_have_text("done")


def open_tenant(page: Page, tenant: str) -> None:
    """Select a tenant in the list, once it is ready."""
    page.get_by_role("link", name="Tenants", exact=True).press("Enter")
    expect(page.locator(f"#tenant-{tenant} .state")).to_have_text("ready")
    page.get_by_role("link", name=tenant, exact=True).click()  # a key could meet a row that is being updated
    expect(page.get_by_role("heading", name=tenant, exact=True, level=1)).to_be_visible()
