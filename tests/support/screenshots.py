"""The pictures of the page in the documentation: `python -m tests.support.screenshots` takes them again, in Chromium."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.browser import chromium
from tests.support.pictured import KEPT, KEPT_ID, LOGS_QUERY, METRICS_QUERY
from tests.support.served_page import ServedPage, served, settled
from tests.support.shell import ROOT

FOLDER = ROOT / "docs" / "images"
WINDOW: ViewportSize = {"width": 1240, "height": 720}  # so that no cell of the list breaks a word


@contextmanager
def pictured(folder: Path, module: str = "tests.support.pictured") -> Iterator[ServedPage]:
    """Serve the page of the pictures, with its files in a folder. Another module serves it with other engines."""
    command = [sys.executable, "-P", "-m", module, str(folder)]
    with served(command, cwd=ROOT, env=os.environ | {"XDG_STATE_HOME": str(folder / "state")}) as started:
        yield started


def take(started: ServedPage, browser: Browser, folder: Path) -> None:
    """Write all pictures into a folder, as PNG."""
    page, _ = started.open(browser, viewport=WINDOW, color_scheme="light", reduced_motion="reduce")
    _tenants(page, folder)
    _one_tenant(page, folder, started.site)
    _instance(page, folder, started.site)
    _explore(page, folder, started.site)
    _retained(page, folder, started.site)
    dark, _ = started.open(browser, viewport=WINDOW, color_scheme="dark", reduced_motion="reduce")
    _change(dark, folder, started.site)


def _tenants(page: Page, folder: Path) -> None:
    expect(page.locator("#tenant-shop .state")).to_have_text("ready")
    expect(page.locator("#tenant-shop svg.sparkline")).to_have_count(3)
    expect(page.locator("#ages")).to_contain_text("Stored bytes are of ")
    expect(page.locator("#rows td", has_text="being summed")).to_have_count(0)
    page.screenshot(path=folder / "page-tenants.png")


def _one_tenant(page: Page, folder: Path, site: str) -> None:
    page.goto(f"{site}/tenants/shop")
    settled(page)
    page.screenshot(path=folder / "page-tenant.png")
    top = page.locator("#data-use").evaluate("(one) => one.getBoundingClientRect().top + scrollY")
    height = page.evaluate("document.documentElement.scrollHeight")
    page.screenshot(
        path=folder / "page-tenant-data.png",
        full_page=True,
        clip={"x": 0, "y": top, "width": WINDOW["width"], "height": height - top},
    )


def _instance(page: Page, folder: Path, site: str) -> None:
    page.goto(f"{site}/instance")
    settled(page)
    height = page.evaluate("document.documentElement.scrollHeight")  # with the last updates
    page.set_viewport_size({"width": WINDOW["width"], "height": height})
    expect(page.locator("#data-updates tr").last).to_be_in_viewport(ratio=1)
    page.screenshot(path=folder / "page-instance.png")
    page.set_viewport_size(WINDOW)


def explored(site: str, **query: str) -> str:
    """Return the URL of Explore with a query, which it runs."""
    return f"{site}/explore?{urlencode({'tenant': 'shop', 'range': '1h', **query})}"


def _explore(page: Page, folder: Path, site: str) -> None:
    page.goto(explored(site, language="promql", query=METRICS_QUERY))
    expect(page.get_by_role("img", name="Plot of 3 series")).to_be_visible()
    page.screenshot(path=folder / "page-explore.png")
    page.goto(explored(site, language="logql", query=LOGS_QUERY))
    expect(page.get_by_role("status")).to_have_text("12 lines, the newest first.")
    page.screenshot(path=folder / "page-explore-logs.png")


def _retained(page: Page, folder: Path, site: str) -> None:
    page.goto(f"{site}/retained/{KEPT}/{KEPT_ID}")
    page.screenshot(path=folder / "page-retained.png", full_page=True)


def _change(page: Page, folder: Path, site: str) -> None:
    page.goto(f"{site}/tenants/shop/change")
    page.get_by_label("size", exact=True).select_option("medium")
    page.screenshot(path=folder / "page-change.png")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    page.screenshot(path=folder / "page-plan.png")
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("not confirmed")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary, pictured(Path(temporary)) as page_process, chromium() as program:
        take(page_process, program, FOLDER)
