"""The pictures of the page in the documentation: `python -m tests.support.screenshots` takes them again, in Chromium.

They show a page about tenants of a test, with states and pods that are recorded.
"""

import os
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

from playwright.sync_api import Browser, Page, expect

from components.core.public_keys import key_id
from scripts.stackfile.file import StackFile
from scripts.tokens.issued import record
from scripts.tokens.signing import Grant
from tests.support.browser import chromium
from tests.support.factories import KEY, settings
from tests.support.served_page import served
from tests.support.shell import ROOT

FOLDER = ROOT / "docs" / "images"
WINDOW = {"width": 1000, "height": 640}
TENANTS = [
    {"name": "billing", "owner": "team payments", "retention": {"metrics": "90d", "logs": "30d"}, "protect": True},
    {"name": "ops", "owner": "platform", "retention": {"metrics": "30d"}},
    {"name": "shop", "owner": "team web", "labels": {"team": "web"}},
]
TOKEN = Grant(
    instance="showdown",
    tenant="shop",
    seconds=4_000_000_000,
    issued=1,
    id="3f0c9a52-7d1e-4b6a-9c58-2f1d6e0b8a47",
    name="checkout",
)


def write_stacks(folder: Path) -> None:
    """Write the stack files that the pictures show."""
    file = StackFile("showdown", folder)
    for name, value in settings(tenants=[{"name": "default"}, *TENANTS]).items():
        file.set(name, value)
    file.write()


def own_state(folder: str) -> AbstractContextManager[object]:
    """Keep the list of issued tokens in a folder while the block runs."""
    return mock.patch.dict(os.environ, {"XDG_STATE_HOME": folder})


def take(browser: Browser, folder: Path) -> None:
    """Write all pictures into a folder, as PNG."""
    with tempfile.TemporaryDirectory() as temporary, own_state(f"{temporary}/state"):
        record(key_id(KEY), [TOKEN])
        write_stacks(Path(temporary))
        command = [sys.executable, "-P", "-m", "tests.support.page", temporary, "--applied"]
        with served(command, cwd=ROOT) as page_process:
            page, _ = page_process.open(browser, viewport=WINDOW, color_scheme="light", reduced_motion="reduce")
            _tenants(page, folder)
            _one_tenant(page, folder, page_process.site)
            dark, _ = page_process.open(browser, viewport=WINDOW, color_scheme="dark", reduced_motion="reduce")
            _change(dark, folder, page_process.site)


def _tenants(page: Page, folder: Path) -> None:
    expect(page.locator("#tenant-shop .state")).to_have_text("ready")
    page.screenshot(path=folder / "page-tenants.png")


def _one_tenant(page: Page, folder: Path, site: str) -> None:
    page.goto(f"{site}/tenants/shop")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.screenshot(path=folder / "page-tenant.png")


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
    with chromium() as started:
        take(started, FOLDER)
