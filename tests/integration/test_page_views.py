"""Every view of the page in Chromium: without barriers for assistive technology, in the dark, at 200 % zoom, by keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from components.core.public_keys import key_id
from scripts.tokens.issued import record
from scripts.tokens.signing import Grant
from tests.support.accessibility import motion, overflow, serious_findings
from tests.support.browser import chromium
from tests.support.factories import KEY
from tests.support.pictured import KEPT, KEPT_ID, LOGS_QUERY, METRICS_QUERY
from tests.support.screenshots import FOLDER, explored, pictured, take
from tests.support.served_page import ServedPage, served_stacks, written_stack

ZOOMED = {"width": 640, "height": 400}  # a window of 1280 by 800 pixels at 200 %, in CSS pixels
VIEWS = (
    "/",
    "/?filter=nobody",
    "/tenants/ops",
    "/tenants/system",
    "/tenants/ops/change",
    "/tenants/ops/delete",
    "/add",
)
OTHERS = ("/instance", "/changes", "/explore", "/retained", "/nothing")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """A page about tenants with long and short texts, and with tokens."""
    folder, state = tmp_path_factory.mktemp("stacks"), tmp_path_factory.mktemp("state")
    owner = "a team with a very long name " * 8
    written_stack(folder, {"name": "ops", "owner": owner, "labels": {"team": "web"}})
    token = Grant(
        instance="showdown", tenant="ops", seconds=4_000_000_000, issued=1, id="11111111-1111-4111-8111-111111111111"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        record(key_id(KEY), [token])
        with served_stacks(folder, "--applied") as page:
            yield page


def settled(page: Page) -> None:
    """Wait until the parts that follow a view are there."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def visited(page: Page, site: str) -> Iterator[str]:
    """Lead the page to each view, and yield its path: at last those of a change that asks, and of one that has ended."""
    for path in (*VIEWS, *OTHERS):
        page.goto(f"{site}{path}")
        settled(page)
        yield path
    page.goto(f"{site}/add")
    page.get_by_label("Name", exact=True).fill("Shop")
    expect(page.get_by_text("use 1 to 30 characters")).to_be_visible()
    yield "a wrong name"
    page.get_by_label("Name", exact=True).fill("shop")
    page.get_by_label("owner").fill("<b>Bob</b>")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("alert")).to_be_visible()
    yield "a refused form"
    page.get_by_label("owner").fill("Bob")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    yield "a question"
    page.get_by_role("button", name="No", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("not confirmed")
    page.get_by_text("Output of the engine").click()
    yield "the end of a change"
    page.goto(f"{site}/changes")
    yield "changes"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_serious_barrier(started: ServedPage, browser: Browser, scheme: str) -> None:
    page, _ = started.open(browser, color_scheme=scheme)
    found = {path: findings for path in visited(page, started.site) if (findings := serious_findings(page))}
    assert found == {}


def test_a_barrier_is_found(started: ServedPage, browser: Browser) -> None:
    page, _ = started.open(browser, color_scheme="light", viewport=ZOOMED, reduced_motion="reduce")
    assert (serious_findings(page), overflow(page), motion(page)) == ([], 0, [])
    page.evaluate(
        """() => {
            const main = document.querySelector('main');
            main.style.color = '#ddd';
            main.style.width = '1000px';
        }"""
    )
    assert any(one.startswith("color-contrast (serious)") for one in serious_findings(page))
    page.evaluate("document.querySelector('main').style.transition = 'color 1s'")
    assert overflow(page) > 0 and motion(page)


def test_dark_and_light_follow_the_system(started: ServedPage, browser: Browser) -> None:
    def lightness(page: Page) -> int:
        color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(", ")))

    light, _ = started.open(browser, color_scheme="light")
    dark, _ = started.open(browser, color_scheme="dark")
    assert lightness(light) > 700 and lightness(dark) < 100


def test_at_200_percent_no_view_is_wider_than_the_window_and_nothing_moves(
    started: ServedPage, browser: Browser
) -> None:
    page, _ = started.open(browser, viewport=ZOOMED, device_scale_factor=2, reduced_motion="reduce")
    found = {path: wide for path in visited(page, started.site) if (wide := (overflow(page), motion(page))) != (0, [])}
    assert found == {}


@pytest.fixture(scope="module")
def with_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """The page of the pictures, whose views have plots, alerts, lines and retained data."""
    with pictured(tmp_path_factory.mktemp("pictured")) as page:
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_with_data_has_a_serious_barrier_or_is_too_wide_at_200_percent(
    with_data: ServedPage, browser: Browser, scheme: str
) -> None:
    page, _ = with_data.open(browser, color_scheme=scheme, viewport=ZOOMED, device_scale_factor=2)
    site, found = with_data.site, {}
    urls = [f"{site}{path}" for path in ("/", "/tenants/shop", "/instance", "/retained", f"/retained/{KEPT}/{KEPT_ID}")]
    queries = {"promql": METRICS_QUERY, "logql": LOGS_QUERY}
    for url in (*urls, *(explored(site, language=language, query=query) for language, query in queries.items())):
        page.goto(url)
        settled(page)
        if "/explore" in url:
            expect(page.get_by_role("status")).to_have_text(re.compile(r"\.$"))
        if (problems := (serious_findings(page), overflow(page))) != ([], 0):
            found[url] = problems
    assert found == {}


def test_the_pictures_of_the_documentation_are_taken_again(
    with_data: ServedPage, browser: Browser, tmp_path: Path
) -> None:
    take(with_data, browser, tmp_path)
    shown = sorted(path.name for path in FOLDER.glob("page-*.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == shown


@pytest.mark.parametrize("path", [*VIEWS, *OTHERS])
def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    started: ServedPage, browser: Browser, path: str
) -> None:
    page, _ = started.open(browser)
    page.goto(f"{started.site}{path}")
    settled(page)
    wanted = page.evaluate(
        """() => {
            const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')];
            return all.filter((one) => one.type !== 'hidden' && one.checkVisibility()).length;
        }"""
    )
    reached = set()
    for _ in range(wanted):
        page.keyboard.press("Tab")
        number, outlined = page.evaluate(
            """() => {
                const one = document.activeElement;
                return [[...document.querySelectorAll('*')].indexOf(one), getComputedStyle(one).outlineStyle !== 'none'];
            }"""
        )
        assert outlined
        reached.add(number)
    assert len(reached) == wanted
