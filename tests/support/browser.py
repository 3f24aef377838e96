"""Chromium, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, expect, sync_playwright

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure

SECONDS = 90  # for what a page is to show, also on a slow machine
ARGUMENTS = ("--no-sandbox",)  # the tests run as root, for which Chromium has no sandbox


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Start Chromium without a window. `expect` waits for `SECONDS`, not for Playwright's five.

    Other `arguments` than `ARGUMENTS` go to Chromium too.
    """
    expect.set_options(timeout=SECONDS * 1000)
    program = ensure(catalog.CHROMIUM) / "chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


def without_problems(page: Any) -> list[str]:
    """Return the list that collects what a page reports: errors of scripts, and what its policy refused."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    return problems
