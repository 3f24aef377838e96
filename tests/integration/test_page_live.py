"""What Chromium shows while answers are slow, while the list changes, and after the page has ended."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.stackfile.file import StackFile
from tests.support.browser import SECONDS, chromium
from tests.support.served_page import ServedPage, served_stacks, written_stack

# The first three answers with rows come late: that of the stream's first event, and those of the first letters.
SLOW_ROWS = """
    const real = window.fetch;
    const waits = [4000, 2000, 2000];
    window.fetch = async (url, options) => {
        const answer = await real(url, options);
        if (String(url).startsWith("/rows")) await new Promise((done) => setTimeout(done, waits.shift() ?? 0));
        return answer;
    };
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def stack(tmp_path: Path) -> StackFile:
    return written_stack(tmp_path)


@pytest.fixture
def started(stack: StackFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedPage]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with served_stacks(stack.path.parent) as one:
        yield one


@pytest.fixture
def page(started: ServedPage, browser: Browser) -> Page:
    opened, _ = started.open(browser)
    return opened


def test_tabs_say_that_the_page_has_ended(started: ServedPage, page: Page) -> None:
    banner = page.locator("#connection")
    expect(page.locator("#rows th").first).to_be_visible()
    expect(banner).to_be_hidden()
    started.process.terminate()
    started.process.wait(SECONDS)
    expect(banner).to_contain_text("The page does not answer since ")


def test_a_part_that_does_not_load_says_so(page: Page, started: ServedPage) -> None:
    page.route("**/retained/rows", lambda route: route.abort())
    page.goto(f"{started.site}/retained")
    expect(page.get_by_role("alert").filter(has_text="The page does not answer. Load it again.")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.clock.install()
    page.unroute("**/retained/rows")
    page.route("**/retained/rows", lambda route: None)  # never answers
    page.goto(f"{started.site}/retained")
    expect(page.locator("[aria-busy=true]")).to_have_count(1)
    page.clock.run_for(61_000)
    expect(page.locator("[aria-busy=true]")).to_have_count(1)  # counting takes longer than htmx waits by default
    page.clock.run_for(900_000)
    expect(page.get_by_text("No answer came in time.")).to_be_visible()


def test_slow_answers_never_replace_those_of_a_later_text(page: Page) -> None:
    page.add_init_script(SLOW_ROWS)
    page.reload()
    for text in ("z", "zz", "ann"):
        page.get_by_label("Filter").fill(text)
        page.wait_for_timeout(300)  # more than the page waits for another letter
    page.wait_for_timeout(5000)  # until the slow answers would have come
    expect(page.locator("#rows th")).to_have_text(["ops"])


def test_an_error_of_the_list_is_shown_in_its_place_until_the_next_answer(page: Page) -> None:
    expect(page.locator("#rows th")).to_have_text(["default", "ops", "system"])
    cookies = page.context.cookies()
    page.context.clear_cookies()
    with page.expect_response("**/rows?filter=ops&*") as answer:  # not of an update that comes at the same time
        page.get_by_label("Filter").fill("ops")
    assert answer.value.status == 401
    expect(page.locator("#rows").get_by_role("alert")).to_have_text(answer.value.text().strip())
    page.context.add_cookies([{"name": one["name"], "value": one["value"], "url": page.url} for one in cookies])
    page.get_by_label("Filter").fill("op")
    expect(page.locator("#rows th")).to_have_text(["ops"])
    expect(page.locator("#rows").get_by_role("alert")).to_have_count(0)


def test_an_update_of_the_list_leaves_the_focus_where_it_is(page: Page, stack: StackFile) -> None:
    link = page.get_by_role("link", name="ops", exact=True)
    link.focus()
    stack.entry("tenants")[1]["owner"] = "Zoe"
    stack.write()
    expect(page.locator("#tenant-ops")).to_contain_text("Zoe")
    expect(link).to_be_focused()


def test_a_refresh_keeps_filter_and_order(page: Page, started: ServedPage) -> None:
    page.goto(f"{started.site}/?sort=name&order=descending")
    page.get_by_label("Filter").fill("s")
    expect(page.locator("#rows th")).to_have_text(["system", "ops"])
    page.wait_for_timeout(1000)  # until its clock shows another second
    before = page.locator("#ages").inner_text()
    with page.expect_response("**/refresh") as answer:
        page.get_by_role("button", name="Refresh").press("Enter")
    assert answer.value.status == 204
    expect(page.locator("#ages")).not_to_have_text(before)
    expect(page.locator("#rows th")).to_have_text(["system", "ops"])


def test_a_browser_that_refuses_to_copy_says_so(page: Page, started: ServedPage) -> None:
    page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('refused'))")
    page.goto(f"{started.site}/tenants/ops")
    button = page.get_by_role("button", name="Copy").first
    button.press("Enter")
    expect(page.get_by_role("button", name="The browser refuses to copy: select the text")).to_be_visible()


def test_a_field_is_marked_as_invalid_until_it_is_corrected(page: Page, started: ServedPage) -> None:
    page.goto(f"{started.site}/add")
    name, owner = page.get_by_label("Name", exact=True), page.get_by_label("owner")
    name.press_sequentially("Shop")
    expect(name).to_have_attribute("aria-invalid", "true")
    name.press("Home")
    name.press("Delete")
    name.press("s")
    expect(page.locator("#name-problem")).to_contain_text("The name becomes part of DNS names.")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    expect(name).to_be_focused()
    name.press("x")  # the caret has stayed
    expect(name).to_have_value("sxhop")
    owner.fill("<b>")
    page.get_by_role("button", name="Show the plan").click()
    expect(owner).to_have_attribute("aria-invalid", "true")
    owner.fill("Bob")
    expect(owner).not_to_have_attribute("aria-invalid", "true")


def test_the_list_is_whole_after_going_back_to_it(page: Page, stack: StackFile) -> None:
    page.get_by_label("Filter").fill("ann")
    expect(page.locator("#rows th")).to_have_text(["ops"])
    page.get_by_role("link", name="Instance", exact=True).click()
    stack.entry("tenants")[1]["owner"] = "Zoe"
    stack.write()
    page.go_back()
    expect(page.locator("#rows th")).to_have_text(["default", "ops", "system"])
    expect(page.locator("#tenant-ops")).to_contain_text("Zoe")
    expect(page.locator("#rows td")).to_have_count(
        3 * 10 + 2
    )  # with those of the reason for missing figures, and of the number
