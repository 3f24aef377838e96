"""The tenants page in Chromium, over an engine and a cluster of the test: keyboard alone, two browsers, live without reload."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.integrations.catalog import FORMATS
from scripts.stackfile.file import StackFile
from scripts.web.browser import write_redirect
from tests.support.browser import chromium
from tests.support.served_page import ServedPage, apply, served_stacks, show_plan, wait_for_end, written_stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def stack(tmp_path: Path) -> StackFile:
    return written_stack(tmp_path)


@pytest.fixture
def started(stack: StackFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedPage]:
    """A page in a process of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with served_stacks(stack.path.parent) as one:
        yield one


def opened(started: ServedPage, browser: Browser, *, scale: int = 1, **options: Any) -> tuple[Page, list[str]]:
    """Return the page in a small window of a new browser, and the list of its problems."""
    return started.open(browser, viewport={"width": 640, "height": 400}, device_scale_factor=scale, **options)


def test_the_file_that_the_command_opens_leads_a_browser_to_the_list(started: ServedPage, browser: Browser) -> None:
    file = write_redirect(started.link())
    assert file.stat().st_mode & 0o777 == 0o600
    page = browser.new_context().new_page()
    page.goto(file.as_uri(), wait_until="commit")  # it leads on
    expect(page.locator("#tenant-ops")).to_be_visible()
    assert "token" not in page.url


def test_a_tenant_is_added_by_the_keyboard_while_another_browser_follows(
    started: ServedPage, browser: Browser, stack: StackFile
) -> None:
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


def test_the_list_follows_the_file_without_a_reload_also_at_200_percent(
    started: ServedPage, browser: Browser, stack: StackFile
) -> None:
    page, problems = opened(started, browser, scale=2)
    row = page.locator("#tenant-ops")
    expect(row).to_contain_text("Ann")
    stack.entry("tenants")[1]["owner"] = "Zoe"
    stack.write()
    expect(row).to_contain_text("Zoe")
    box = row.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 640  # nothing is cut off at the side
    assert problems == []


def test_without_a_key_each_part_says_how_to_switch_it_on(started: ServedPage, browser: Browser) -> None:
    page, problems = opened(started, browser)
    expect(page.locator("#no-figures")).to_contain_text("--key KEYPAIR_FILE")
    page.get_by_role("link", name="ops", exact=True).press("Enter")
    expect(page.locator(".why")).to_have_count(4)
    expect(page.locator(".why").first).to_contain_text("--key KEYPAIR_FILE")
    page.get_by_role("link", name="Instance", exact=True).press("Enter")
    expect(page.locator("#data-updates")).to_contain_text("opstrace tenants add <script>")
    expect(page.locator("#data-quotas .why")).to_contain_text("no quotas")
    assert problems == []


def test_the_end_of_an_addition_has_all_that_connects_a_client(started: ServedPage, browser: Browser) -> None:
    page, problems = opened(started, browser, permissions=["clipboard-read", "clipboard-write"])
    show_plan(page, "shop", others=("default", "ops"))
    apply(page)
    wait_for_end(page)
    end = page.locator("#connect")
    for api in ("cortex", "loki"):
        expect(end.get_by_text(f"https://{api}.shop.showdown.example.com", exact=True)).to_be_visible()
    expect(end.get_by_text("Private keys never enter this page.")).to_be_visible()
    end.get_by_text("Write a client's configuration").press("Enter")
    commands = end.locator("tbody code").all_inner_texts()
    assert len(commands) == len(FORMATS) and all(" showdown shop " in command for command in commands)
    for number, command in ((0, end.locator("p:has(button) code").inner_text()), (len(commands), commands[-1])):
        end.get_by_role("button").nth(number).press("Enter")
        expect(end.get_by_role("button").nth(number)).to_have_text("Copied")
        assert page.evaluate("() => navigator.clipboard.readText()") == command
    assert problems == []


def test_a_stack_takes_one_change_at_a_time_also_of_two_browsers(started: ServedPage, browser: Browser) -> None:
    page, _ = opened(started, browser)
    other, _ = opened(started, browser)
    show_plan(page, "shop", others=("default", "ops"))
    other.get_by_role("link", name="Tenants", exact=True).click()
    other.get_by_role("link", name="ops", exact=True).click()
    other.get_by_role("link", name="Change", exact=True).click()
    other.get_by_label("owner").fill("Bob")
    other.get_by_role("button", name="Show the plan").click()
    under_way = "Add the tenant shop: this change of the stack showdown is under way; wait until it ends"
    expect(other.get_by_role("alert")).to_have_text(under_way)
    assert other.get_by_label("owner").input_value() == "Bob"
    page.reload()  # the question survives it
    page.get_by_role("button", name="No", exact=True).press("Enter")
    expect(page.get_by_role("status")).to_have_text("not confirmed")
    expect(other.locator("#banner")).to_be_empty()
    other.get_by_role("button", name="Show the plan").click()
    expect(other.get_by_text("Apply this change?")).to_be_visible()


def test_the_list_keeps_order_and_filter_while_it_follows_the_file(
    started: ServedPage, browser: Browser, stack: StackFile
) -> None:
    page, problems = opened(started, browser)
    names = page.locator("#rows th")
    expect(names).to_have_text(["default", "ops", "system"])
    heading = page.get_by_role("columnheader", name="Owner")
    heading.get_by_role("link").press("Enter")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    heading.get_by_role("link").press("Enter")
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(names).to_have_text(["ops", "default", "system"])
    stack.entry("tenants")[0]["owner"] = "Zoe"
    stack.write()
    expect(names).to_have_text(["default", "ops", "system"])
    page.get_by_label("Filter").press_sequentially("zo")
    expect(names).to_have_text(["default"])
    stack.entry("tenants").append({"name": "shop", "owner": "Zora"})
    stack.write()
    expect(names).to_have_text(["shop", "default"])
    heading = page.get_by_role("columnheader", name="Name")
    heading.get_by_role("link").press("Enter")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(names).to_have_text(["default", "shop"])
    assert page.get_by_label("Filter").input_value() == "zo"
    assert problems == []


def test_each_setting_says_what_a_change_does_and_those_that_are_refused_say_so(
    started: ServedPage, browser: Browser
) -> None:
    page, problems = opened(started, browser)
    page.get_by_role("link", name="ops", exact=True).click()
    page.get_by_role("link", name="Change", exact=True).click()
    expect(page.get_by_label("owner")).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    for setting, effect in {
        "owner": "live",
        "logPatterns": "rolling restart",
        "size": "new volumes",
        "size.replicas": "replica change; to revert, remove the protection first",
        "limits.metrics.ingestion_rate": "live",
    }.items():
        field = page.locator(f"[id='{setting}']")
        expect(field).to_have_accessible_description(re.compile(rf"a change: {effect}$"))
        expect(field).to_have_accessible_name(setting)
    name = page.get_by_label("name", exact=True)
    expect(name).to_have_accessible_description(re.compile("refused by set"))
    expect(name).not_to_be_editable()
    assert problems == []


def test_a_deletion_says_what_becomes_of_the_data_and_refuses_what_it_must(
    started: ServedPage, browser: Browser, stack: StackFile
) -> None:
    page, _ = opened(started, browser)
    page.get_by_role("link", name="ops", exact=True).click()
    page.get_by_role("link", name="Delete", exact=True).click()
    expect(page.locator("dd").first).to_have_text(re.compile(r"0 objects, 0 B in 0 buckets"))
    expect(page.get_by_text("It is kept, unless you choose otherwise.")).to_be_visible()
    for typed in ("default", "Ops"):
        page.get_by_label("Type the tenant's name to go on").fill(typed)
        page.get_by_role("button", name="Delete ops").press("Enter")
        expect(page.get_by_role("alert")).to_have_text(f"'{typed}' is not the name ops: nothing is changed.")
    stack.entry("tenants")[1] |= {"protect": True, "onDelete": "purge"}
    stack.write()
    page.get_by_label("Type the tenant's name to go on").fill("ops")
    page.get_by_role("button", name="Delete ops").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("the tenant ops is protected")
    page.get_by_role("link", name="Tenants", exact=True).click()
    page.get_by_role("link", name="ops", exact=True).click()
    page.get_by_role("link", name="Delete", exact=True).click()
    expect(page.get_by_text("It is deleted for good, unless you choose otherwise.")).to_be_visible()
    expect(page.get_by_text("the tenant ops is protected")).to_be_visible()
    expect(page.get_by_role("button", name="Delete ops")).to_have_count(0)
