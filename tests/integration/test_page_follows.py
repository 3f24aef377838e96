"""The views of one tenant, of the instance and of changes follow without a reload: only what differs is replaced, in Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from scripts.cli.tokens.revoke import ta_revoke_token
from scripts.stackfile.file import StackFile
from scripts.tokens.issued import record
from scripts.tokens.signing import Grant
from tests.support.browser import chromium
from tests.support.contexts import FakeContext, invoke
from tests.support.pictured import INSTANCE, TOKEN, UNREADY
from tests.support.screenshots import pictured
from tests.support.served_page import ServedPage

FIGURES = "htmx.trigger(document.getElementById('live'), 'figures')"  # as the stream's event every 30 seconds
ACCOUNT = FIGURES.replace("figures", "account")  # as that every 5 minutes
TURNED = FIGURES.replace("figures", "turned")  # as when a change begins or ends
CHANGES = FIGURES.replace("figures", "changes")  # as then, and when one asks
TENANTS = FIGURES.replace("figures", "tenants")  # as when anything in the list changes
ROWS = "**/rows*"
UPDATES = "**/instance/data/updates"
CONNECTED = "document.getElementById('live').dispatchEvent(new Event('htmx:sse:after:connection', {bubbles: true}))"
MANY = 12  # tokens at once: more than the rows among which htmx looks for one that is equal
LATER = "void (Date.now = (now => () => now + 300_000)(Date.now()))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the stack file and the ledger of the page's user."""
    return tmp_path_factory.mktemp("pictured")


@pytest.fixture(scope="module")
def started(folder: Path) -> Iterator[ServedPage]:
    with pictured(folder) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def opened(started: ServedPage, browser: Browser, path: str, *, is_silent: bool = False) -> tuple[Page, list[str]]:
    """Return a view whose parts are there, and the list of its problems.

    With `is_silent`, its stream sends nothing, so the view gets only the events of the test.
    """
    page, problems = started.open(browser)
    if is_silent:
        page.route("**/events", lambda _: None)  # it is never answered
    page.goto(f"{started.site}{path}")
    if is_silent:
        page.evaluate(CONNECTED)  # the first connection
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.wait_for_timeout(1000)  # until clocks and counts have other values
    return page, problems


def requests_held(page: Page, addresses: str) -> list[Route]:
    """Hold the requests of a page for these addresses back; return the list that collects them."""
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright takes no built-in function
        held.append(route)

    page.route(addresses, hold)
    return held


def say_no(page: Page) -> None:
    """Answer the question of the page, and wait until its change has ended."""
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("not confirmed")


def ask_for_owner(page: Page, owner: str) -> None:
    """Fill in the form of a tenant with another owner, and wait until the page asks whether to apply that."""
    page.get_by_label("owner").fill(owner)
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_text("Apply this change?")).to_be_visible()


def text(part: Locator) -> str:
    """Return what a part of a page says."""
    return part.text_content() or ""


@pytest.mark.parametrize("event", [FIGURES, CONNECTED])
def test_figures_follow_and_parts_that_are_read_seldom_do_not(
    started: ServedPage, browser: Browser, event: str
) -> None:
    page, problems = opened(started, browser, "/tenants/shop", is_silent=True)
    hints = {name: page.locator(f"#data-{name} > .hint").last for name in ("use", "alerts")}
    before, asked = {name: text(hint) for name, hint in hints.items()}, set[str]()
    page.on("request", lambda request: asked.add(request.url.partition("/data/")[2]))
    page.evaluate(event)
    for name, hint in hints.items():
        expect(hint).not_to_have_text(before[name])
    assert asked == {*hints} and problems == []


@pytest.mark.parametrize("scripts", [(ACCOUNT,), (LATER, CONNECTED)])
def test_answers_of_the_gateway_follow_and_leave_focus_and_open_details_alone(
    started: ServedPage, browser: Browser, scripts: tuple[str, ...]
) -> None:
    page, problems = opened(started, browser, "/tenants/shop", is_silent=True)
    answers = page.locator("#data-answers")
    row = answers.get_by_role("row").filter(has=page.get_by_role("rowheader", name="204", exact=True))
    summary, count = answers.get_by_text("The newest errors"), row.get_by_role("cell").last
    summary.click()
    counted = text(count)
    for script in scripts:
        page.evaluate(script)
    expect(count).not_to_have_text(counted)
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
    page, problems = opened(started, browser, "/instance", is_silent=True)
    parts = {name: page.locator(f"#{name} > .hint").last for name in ("gateway", "data-alerts", "data-certificates")}
    before = {name: text(part) for name, part in parts.items()}
    page.evaluate(FIGURES)
    for name in ("gateway", "data-alerts"):
        expect(parts[name]).not_to_have_text(before[name])
    expect(parts["data-certificates"]).to_have_text(before["data-certificates"])  # asked every 5 minutes
    page.evaluate(ACCOUNT)
    expect(parts["data-certificates"]).not_to_have_text(before["data-certificates"])
    assert problems == []


def test_updates_are_read_again_if_a_change_ends_while_they_are_read(started: ServedPage, browser: Browser) -> None:
    page, problems = opened(started, browser, "/instance", is_silent=True)
    held = requests_held(page, UPDATES)
    with page.expect_request(UPDATES):
        page.evaluate(TURNED)  # a change begins
    page.evaluate(TURNED)  # it ends
    with page.expect_request(UPDATES):
        held[0].continue_()
    assert problems == []


def test_the_list_follows_events_that_come_before_its_answers(started: ServedPage, browser: Browser) -> None:
    page, problems = opened(started, browser, "/", is_silent=True)
    held = requests_held(page, ROWS)
    mark = page.locator("#count [data-mark]").get_attribute("data-mark")
    with page.expect_request(ROWS) as first:
        page.evaluate(TENANTS)
    for _ in range(3):
        page.evaluate(TENANTS)
    with page.expect_response(ROWS) as answer, page.expect_request(ROWS) as second:
        held[0].continue_(headers={**first.value.headers, "rows-shown": ""})  # so its answer has another mark
    shown = second.value.headers["rows-shown"]
    # It waited for the answer, so it says that the page shows those rows.
    assert answer.value.ok and shown != mark and f'data-mark="{shown}"' in answer.value.text()
    with page.expect_response(ROWS):
        held[1].continue_()
    page.wait_for_timeout(500)
    assert len(held) == 2  # one for all events
    with page.expect_request(ROWS):
        page.evaluate(TENANTS)
    with page.expect_request(lambda request: "filter=shop" in request.url):  # the filter does not wait
        page.get_by_label("Filter").press_sequentially("shop")
    assert problems == []


def test_the_list_of_changes_follows(started: ServedPage, browser: Browser) -> None:
    page, problems = opened(started, browser, "/changes")
    expect(page.get_by_text("This page has made no change yet.")).to_be_visible()
    other, _ = opened(started, browser, "/tenants/shop/change")
    ask_for_owner(other, "team shop")
    row = page.get_by_role("row", name="Change the tenant shop")
    expect(row).to_contain_text("waits for an answer")
    link = row.get_by_role("link")
    link.focus()
    other.get_by_role("button", name="No", exact=True).click()
    expect(row).to_contain_text("not confirmed")
    expect(link).to_be_focused()
    assert problems == []


def test_a_link_stays_that_of_its_change_when_that_ends_and_another_one_begins(
    started: ServedPage, browser: Browser
) -> None:
    other, _ = opened(started, browser, "/tenants/shop/change")
    ask_for_owner(other, "team shop")
    change = other.url.removeprefix(started.site)
    page, problems = opened(started, browser, "/changes", is_silent=True)
    link = page.locator(f"#changes a[href='{change}']")
    link.focus()
    say_no(other)
    other.goto(f"{started.site}/tenants/billing/change")
    ask_for_owner(other, "team web")
    page.evaluate(CHANGES)
    expect(page.get_by_role("row", name="Change the tenant billing")).to_contain_text("waits for an answer")
    expect(link).to_be_focused()
    say_no(other)
    assert problems == []


def test_tokens_follow_the_verbs_of_another_terminal_and_a_button_stays_that_of_its_token(
    started: ServedPage, browser: Browser, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    page, problems = opened(started, browser, "/tenants/shop")
    instance, problems_of_instance = opened(started, browser, "/instance")
    revoked = instance.locator("dt:text-is('Revoked tokens') + dd")
    link = instance.get_by_role("link", name="Explore")
    expect(revoked).to_have_text("0")
    button = page.get_by_role("button", name=f"Revoke the token {TOKEN.id}")
    for one in (button, link):
        one.focus()

    (key,) = StackFile(INSTANCE, folder).config().data_api.public_keys
    later, *others = (Grant(instance=INSTANCE, tenant="shop", name="later") for _ in range(MANY))
    record(key, [later, *others])
    row = page.get_by_role("row", name=later.id)
    expect(row).to_contain_text("valid")
    expect(button).to_be_focused()
    done = invoke(FakeContext(folder), ta_revoke_token, "local", INSTANCE, later.id, "--no-apply")
    assert done.exit_code == 0, done.output
    expect(row).to_contain_text("revoked")
    expect(row.get_by_role("button")).to_have_count(0)
    expect(revoked).to_have_text("1")
    for one in (button, link):
        expect(one).to_be_focused()

    page.keyboard.press("Enter")
    expect(page.get_by_text("Apply this change?")).to_be_visible()
    expect(page.locator(".added", has_text=TOKEN.id)).to_be_visible()
    say_no(page)
    assert problems == problems_of_instance == []
