"""Every view of the page in Chromium: without barriers for assistive technology, in the dark, at 200 % zoom, by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, ViewportSize, expect
from starlette.routing import Match, Route

from components.core.public_keys import key_id
from scripts.tokens.issued import record
from scripts.tokens.signing import Grant
from scripts.web.app import ROUTES
from tests.support.accessibility import barriers, motion, overflow, serious_findings, without_keys
from tests.support.browser import chromium
from tests.support.factories import KEY
from tests.support.page_stories import STORIES, Story
from tests.support.screenshots import FOLDER, pictured, take
from tests.support.served_page import ServedPage, served_stacks, settled, written_stack
from tests.support.staged import COMPLETES, stage
from tests.support.visit import Visit

# Views of a page that changes nothing, without a key and without data. The stories visit those with data.
WITHOUT_DATA = [
    "/",
    "/tenants/ops",
    "/tenants/system",
    "/add",
    "/instance",
    "/changes",
    "/explore",
    "/retained",
    "/nothing",
]
IS_COVERED = """one => {
    const {left, top, width, height} = one.getBoundingClientRect();
    return !one.contains(document.elementFromPoint(left + width / 2, top + height / 2));
}"""
SMALLEST: ViewportSize = {"width": 960, "height": 640}  # in which headings of tables stay while rows are scrolled


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("staged")


@pytest.fixture(scope="module")
def with_data(folder: Path) -> Iterator[ServedPage]:
    """A page whose views have plots, alerts, lines, tokens and retained data, and whose updates a test leads."""
    with pictured(folder, "tests.support.staged") as page:
        yield page
        stage(folder, COMPLETES)  # an update that waits would keep the page from its end


@pytest.fixture(scope="module")
def without_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """A page that changes nothing, about tenants with long and short texts, and with tokens."""
    folder, state = tmp_path_factory.mktemp("stacks"), tmp_path_factory.mktemp("state")
    owner = "a team with a very long name " * 8
    written_stack(folder, {"name": "ops", "owner": owner, "labels": {"team": "web"}})
    token = Grant(
        instance="showdown", tenant="ops", seconds=4_000_000_000, issued=1, id="11111111-1111-4111-8111-111111111111"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        record(key_id(KEY), [token])
        with served_stacks(folder, "--applied", "--read-only") as page:
            yield page


def opened(served: ServedPage, browser: Browser) -> Page:
    """Return the page in a browser of a user who wants no motion, on a screen with twice as many pixels as CSS has."""
    page, _ = served.open(
        browser, device_scale_factor=2, reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"]
    )
    return page


@pytest.fixture(scope="module")
def page(with_data: ServedPage, browser: Browser) -> Page:
    return opened(with_data, browser)


@pytest.fixture(scope="module")
def page_without_data(without_data: ServedPage, browser: Browser) -> Page:
    return opened(without_data, browser)


def test_the_pictures_of_the_documentation_are_taken_again(
    with_data: ServedPage, browser: Browser, tmp_path: Path
) -> None:
    take(with_data, browser, tmp_path)
    shown = sorted(path.name for path in FOLDER.glob("page-*.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == shown


@pytest.mark.parametrize("path", WITHOUT_DATA)
def test_a_view_without_data_has_no_barrier(without_data: ServedPage, page_without_data: Page, path: str) -> None:
    page_without_data.goto(f"{without_data.site}{path}")
    settled(page_without_data)
    assert barriers(page_without_data) == []


def route_of(method: str, path: str) -> str:
    """Return the method and the path of the route that answers a request; "" for a static file."""
    scope = {"type": "http", "method": method, "path": path}
    routes = (one for one in ROUTES if isinstance(one, Route) and one.matches(scope)[0] is Match.FULL)
    return next((f"{method} {route.path}" for route in routes), "")


@pytest.mark.parametrize("story", STORIES, ids=lambda one: str(one.steps.__name__))
def test_each_step_by_the_keyboard_leads_to_a_view_without_a_barrier(
    with_data: ServedPage, page: Page, folder: Path, story: Story
) -> None:
    stage(folder, COMPLETES)
    site, found, asked, changes = with_data.site, {}, set[str](), set[str]()

    def note(request: Request) -> None:
        asked.add(route_of(request.method, request.url.removeprefix(site).partition("?")[0]))

    page.on("request", note)
    for state in story.steps(Visit(page, site, folder)):
        changes |= {*page.locator("strong[role=status]").all_inner_texts()}
        if problems := barriers(page):
            found[state] = problems
    page.remove_listener("request", note)
    assert found == {}
    assert {*story.routes} <= asked and changes == {*story.changes}


def test_a_barrier_is_found(page_without_data: Page, without_data: ServedPage) -> None:
    page = page_without_data
    page.goto(without_data.site)
    assert barriers(page) == []
    page.evaluate(
        """() => {
            const main = document.querySelector('main');
            main.style.color = '#555';
            main.style.width = '1000px';
        }"""
    )
    assert any(one.startswith("color-contrast (serious)") for one in serious_findings(page))
    page.evaluate("document.querySelector('main').style.transition = 'color 1s'")
    assert overflow(page) > 0 and motion(page)


def test_a_control_that_keys_do_not_reach_is_found(page_without_data: Page, without_data: ServedPage) -> None:
    page = page_without_data
    page.goto(without_data.site)
    page.evaluate(
        """() => {
            const [unreached, unmarked, covered] = document.querySelectorAll('nav a');
            unreached.tabIndex = -1;
            unmarked.style.outline = 'none';
            const {left, top, width, height} = covered.getBoundingClientRect();
            const cover = document.body.appendChild(document.createElement('div'));
            Object.assign(cover.style, {position: 'fixed', left: `${left}px`, top: `${top}px`});
            Object.assign(cover.style, {width: `${width}px`, height: `${height}px`});
        }"""
    )
    unmarked, covered, unreached = without_keys(page)
    assert unmarked.startswith('no focus is shown at <a href="/"')
    assert covered.startswith("<div") and 'covers <a href="/instance"' in covered
    assert unreached.startswith('not reached: <a class="name"')


def test_no_heading_covers_the_control_that_gets_the_focus(page: Page, with_data: ServedPage) -> None:
    page.set_viewport_size(SMALLEST)
    page.goto(f"{with_data.site}/tenants/shop")
    page.get_by_text("Write a client's configuration").press("Enter")
    buttons = page.get_by_role("table").first.get_by_role("button", name="Copy")
    buttons.nth(3).focus()
    buttons.nth(2).evaluate("one => scrollBy(0, one.getBoundingClientRect().top)")
    assert buttons.nth(2).evaluate(IS_COVERED)
    page.keyboard.press("Shift+Tab")
    expect(buttons.nth(2)).to_be_focused()
    assert not buttons.nth(2).evaluate(IS_COVERED)


def test_dark_and_light_follow_the_system(page_without_data: Page) -> None:
    def lightness() -> int:
        color: str = page_without_data.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(", ")))

    page_without_data.emulate_media(color_scheme="light")
    assert lightness() > 700
    page_without_data.emulate_media(color_scheme="dark")
    assert lightness() < 100
