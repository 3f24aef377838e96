"""The tenants page in Chromium, over an engine and a cluster of the test: keyboard alone, two browsers, live without reload."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.stackfile.file import StackFile
from tests.support.browser import chromium
from tests.support.factories import settings
from tests.support.served_page import ServedPage, served
from tests.support.shell import ROOT


@pytest.fixture
def stack(tmp_path: Path) -> StackFile:
    file = StackFile("showdown", tmp_path)
    for name, value in settings(tenants=[{"name": "default"}, {"name": "ops", "owner": "Ann"}]).items():
        file.set(name, value)
    file.write()
    return file


@pytest.fixture
def started(stack: StackFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedPage]:
    """A page in a process of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with served([sys.executable, "-P", "-m", "tests.support.page", str(stack.path.parent)], cwd=ROOT) as one:
        yield one


def opened(started: ServedPage, browser: Browser, *, scale: int = 1) -> tuple[Page, list[str]]:
    """Return the page in a small window of a new browser, and the list of its problems."""
    return started.open(browser, viewport={"width": 640, "height": 400}, device_scale_factor=scale)


def test_a_tenant_is_added_by_the_keyboard_while_another_browser_follows(started: ServedPage, stack: StackFile) -> None:
    with chromium() as browser:
        page, problems = opened(started, browser)
        other, problems_of_other = opened(started, browser)
        page.get_by_label("Filter").fill("ann")
        expect(page.locator("#rows th")).to_have_text(["ops"])
        page.get_by_role("link", name="Add a tenant").press("Enter")
        page.get_by_label("Name", exact=True).press_sequentially("Shop")
        expect(page.get_by_text("use 1 to 30 characters of a-z and 0-9")).to_be_visible()
        page.get_by_label("Name", exact=True).fill("shop")
        page.get_by_label("owner").fill("Bob & <b>Co</b>")
        page.get_by_label("owner").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("owner")  # the verbs refuse it, and no tag is read as one
        page.get_by_label("owner").fill("Bob")
        page.get_by_label("owner").press("Enter")
        expect(page.get_by_text("+      owner: Bob")).to_be_visible()
        expect(page.get_by_text("3 tenants to add (default, ops, shop)")).to_be_visible()
        other.get_by_role("link", name="Add the tenant shop").press("Enter")
        page.get_by_role("button", name="Apply").press("Enter")
        for one in (page, other):
            expect(one.get_by_role("status")).to_have_text("done")
        other.get_by_role("link", name="All tenants").press("Enter")
        expect(other.locator("#tenant-shop")).to_contain_text("Bob")
        (refused,) = problems  # the form with the invalid owner
        assert "422" in refused and problems_of_other == []


def test_the_list_follows_the_file_without_a_reload_also_at_200_percent(started: ServedPage, stack: StackFile) -> None:
    with chromium() as browser:
        page, problems = opened(started, browser, scale=2)
        row = page.locator("#tenant-ops")
        expect(row).to_contain_text("Ann")
        stack.entry("tenants")[1]["owner"] = "Zoe"
        stack.write()
        expect(row).to_contain_text("Zoe")
        box = row.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 640  # nothing is cut off at the side
        assert problems == []


def test_without_a_key_each_part_says_how_to_switch_it_on(started: ServedPage) -> None:
    with chromium() as browser:
        page, problems = opened(started, browser)
        expect(page.locator("#no-figures")).to_contain_text("--key KEYPAIR_FILE")
        page.get_by_role("link", name="ops", exact=True).press("Enter")
        expect(page.locator(".why")).to_have_count(4)
        expect(page.locator(".why").first).to_contain_text("--key KEYPAIR_FILE")
        page.get_by_role("link", name="Instance", exact=True).press("Enter")
        expect(page.locator("#data-updates")).to_contain_text("opstrace tenants add <script>")
        expect(page.locator("#data-quotas .why")).to_contain_text("no quotas")
        assert problems == []
