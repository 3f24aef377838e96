"""The page of a command that serves it, opened in Chromium: each browser begins with the newest link of its output."""

import re
import subprocess
import threading
from queue import Queue
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.support.browser import without_problems

SECONDS = 90  # for an update, and for what a slow machine does at most


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
        expect.set_options(timeout=SECONDS * 1000)
        problems = without_problems(page)
        page.goto(self._links.get(timeout=SECONDS))
        expect(page.get_by_role("heading", name="Tenants")).to_be_visible()
        return page, problems

    @property
    def site(self) -> str:
        """The page's address, without a path."""
        link = next(link for line in self.said for link in re.findall(r"(http://[^/\s]+)/", line))
        return str(link)
