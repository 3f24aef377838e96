"""The views of one tenant, of the instance and of changes follow without a reload: only what differs is replaced, in Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import chromium
from tests.support.pictured import UNREADY
from tests.support.screenshots import pictured
from tests.support.served_page import ServedPage

FIGURES = "htmx.trigger(document.getElementById('live'), 'figures')"  # as the stream's event every 30 seconds
RECONNECTED = "document.getElementById('live').dispatchEvent(new Event('htmx:sse:after:connection', {bubbles: true}))"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    with pictured(tmp_path_factory.mktemp("pictured")) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def opened(started: ServedPage, browser: Browser, path: str) -> tuple[Page, list[str]]:
    """Return a view whose parts are there, and the list of its problems."""
    page, problems = started.open(browser)
    page.goto(f"{started.site}{path}")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.wait_for_timeout(1000)  # until clocks and counts have other values
    return page, problems


def text(part: Locator) -> str:
    """Return what a part of a page says."""
    return part.text_content() or ""


@pytest.mark.parametrize("event", [FIGURES, RECONNECTED])
def test_figures_follow_and_leave_focus_and_open_details_alone(
    started: ServedPage, browser: Browser, event: str
) -> None:
    page, problems = opened(started, browser, "/tenants/shop")
    answers, use = page.locator("#data-answers"), page.locator("#data-use")
    summary, count = answers.get_by_text("The newest errors"), answers.locator("tr:has(th:text-is('204')) td").last
    summary.click()
    counted, read_at = text(count), text(use.locator(".hint").last)
    page.evaluate(event)
    expect(count).not_to_have_text(counted)
    expect(use.locator(".hint").last).not_to_have_text(read_at)
    expect(summary).to_be_focused()
    expect(answers.get_by_text("request_rate_limited").first).to_be_visible()
    assert problems == []


def test_the_state_of_a_tenant_follows_and_leaves_the_focus_alone(started: ServedPage, browser: Browser) -> None:
    page, problems = opened(started, browser, f"/tenants/{UNREADY}")
    state = page.locator("#state")
    expect(state.locator(".state")).to_have_class("state bad")
    read_at, command = text(state), page.get_by_role("button", name="Copy").first
    command.focus()
    expect(state).not_to_have_text(read_at)  # pods are looked at every 5 seconds
    expect(command).to_be_focused()
    assert problems == []


def test_the_instance_follows(started: ServedPage, browser: Browser) -> None:
    page, problems = opened(started, browser, "/instance")
    parts = {name: page.locator(f"#{name} > .hint").last for name in ("gateway", "data-alerts", "data-certificates")}
    before = {name: text(part) for name, part in parts.items()}
    page.evaluate(FIGURES)
    for name in ("gateway", "data-alerts"):
        expect(parts[name]).not_to_have_text(before[name])
    expect(parts["data-certificates"]).to_have_text(before["data-certificates"])  # asked every 5 minutes
    page.evaluate(FIGURES.replace("figures", "account"))
    expect(parts["data-certificates"]).not_to_have_text(before["data-certificates"])
    assert problems == []


def test_the_list_of_changes_follows(started: ServedPage, browser: Browser) -> None:
    page, problems = opened(started, browser, "/changes")
    expect(page.get_by_text("This page has made no change yet.")).to_be_visible()
    other, _ = opened(started, browser, "/tenants/shop/change")
    other.get_by_label("owner").fill("team shop")
    other.get_by_role("button", name="Show the plan").click()
    row = page.get_by_role("row", name="Change the tenant shop")
    expect(row).to_contain_text("waits for an answer")
    link = row.get_by_role("link")
    link.focus()
    other.get_by_role("button", name="No", exact=True).click()
    expect(row).to_contain_text("not confirmed")
    expect(link).to_be_focused()
    assert problems == []
