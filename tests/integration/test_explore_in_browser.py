"""Explore in Chromium, over recorded answers: completion, plot, lines and errors, by the keyboard, under the page's policy."""

import re
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import chromium, without_problems
from tests.support.explored import PARSE_ERROR, SCRIPT
from tests.support.served_page import served
from tests.support.shell import ROOT


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page in a process of its own, over recorded answers."""
    command = [sys.executable, "-P", "-m", "tests.support.explored", str(tmp_path_factory.mktemp("explored"))]
    with served(command, cwd=ROOT) as started, chromium() as browser:
        made, _ = started.open(browser, permissions=["clipboard-read", "clipboard-write"], timezone_id="Asia/Tokyo")
        yield made


@pytest.fixture
def problems(page: Page) -> list[str]:
    return without_problems(page)


def explore(page: Page, language: str = "PromQL") -> None:
    """Open Explore by the keyboard."""
    page.get_by_role("link", name="Explore", exact=True).press("Enter")
    expect(page).to_have_url(re.compile(r"/explore$"))  # without a query: no earlier one stands there
    page.get_by_label("Language").select_option(language)


def accept(page: Page, name: str) -> None:
    """Take an option of the completion by the keyboard, once it is there and takes keys."""
    expect(page.get_by_role("option", name=name, exact=True)).to_be_visible()
    page.wait_for_timeout(200)  # the editor ignores keys for 75 ms, so that nobody takes an option that just appeared
    page.get_by_role("textbox", name="Query").press("Enter")


def test_promql_is_completed_and_plotted_by_the_keyboard(page: Page, problems: list[str]) -> None:
    explore(page)
    editor = page.get_by_role("textbox", name="Query")
    editor.press_sequentially("upl")
    expect(page.get_by_role("option", name="upload_bytes_total")).to_be_visible()
    editor.press("Escape")
    for _ in "upl":
        editor.press("Backspace")
    editor.press_sequentially("up{")
    expect(page.get_by_role("option", name="instance")).to_be_visible()
    editor.press_sequentially('job="')
    accept(page, "shop")
    editor.press("Control+Enter")
    expect(page.get_by_role("status")).to_have_text("2 series.")
    rows = page.locator("#series tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text('up{job="shop", instance="a:1"}')
    expect(rows.nth(1)).to_contain_text(SCRIPT.replace('"', '\\"'))
    plot = page.get_by_role("img", name="Plot of 2 series")
    colored = (
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(one => one > 0)"
    )
    assert plot.locator("canvas").evaluate(colored)
    plot.press("ArrowLeft")
    expect(page.locator("#series thead")).to_contain_text(re.compile(r"Value at \d\d:\d\d:\d\d UTC"))
    page.reload()  # the URL has the query
    expect(page.get_by_role("status")).to_have_text("2 series.")
    expect(page.get_by_role("textbox", name="Query")).to_have_text('up{job="shop"}')
    assert problems == []


def test_logql_is_completed_and_lists_lines_as_text(page: Page, problems: list[str]) -> None:
    explore(page, "LogQL")
    editor = page.get_by_role("textbox", name="Query")
    editor.press_sequentially("{jo")
    accept(page, "job")
    editor.press_sequentially('="s')
    accept(page, "shop")
    editor.press("End")
    editor.press_sequentially(" | logf")
    accept(page, "logfmt")
    page.get_by_role("button", name="Run").press("Enter")
    expect(page.get_by_role("status")).to_have_text("3 lines, the newest first.")
    expect(editor).to_have_text('{job="shop"} | logfmt')
    lines = page.locator("#lines li")
    expect(lines.locator("> code")).to_have_text([f"line {number} {SCRIPT}" for number in range(3)])
    expect(lines.nth(0)).to_contain_text('job="shop"')
    stamp = str(lines.nth(0).locator("time").get_attribute("datetime"))
    expect(lines.nth(0).locator("time")).to_have_text(f"{stamp[:10]} {stamp[11:23]} UTC")
    assert page.locator("#lines img").count() == 0 and problems == []


def test_an_error_of_the_language_is_shown_as_the_back_end_tells_it(page: Page, problems: list[str]) -> None:
    explore(page)
    editor = page.get_by_role("textbox", name="Query")
    editor.press_sequentially("sum(")
    editor.press("Delete")  # the bracket that the editor closed
    editor.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text(PARSE_ERROR)
    expect(page.locator(".cm-lintRange-error, .cm-lintPoint-error").first).to_be_attached()
    expect(page.locator("#plot")).to_be_hidden()
    (refused,) = problems  # the answer with the error
    assert "422" in refused


def test_an_attribute_that_htmx_would_evaluate_runs_nothing(page: Page) -> None:
    explore(page)
    refused = without_problems(page)
    page.evaluate(
        "() => { document.body.insertAdjacentHTML('beforeend', '<p id=evil hx-on:click=\"window.ran = 1\">x</p>');"
        " window.htmx.process(document.body) }"
    )
    page.locator("#evil").click()
    assert page.evaluate("() => window.ran") is None
    assert any("unsafe-eval" in one or "evaluat" in one.lower() for one in refused), refused


def test_a_command_of_the_tenant_page_is_copied(page: Page, problems: list[str]) -> None:
    page.get_by_role("link", name="Tenants", exact=True).click()
    page.get_by_role("link", name="default", exact=True).click()
    expect(page).to_have_url(re.compile("/tenants/default$"))
    page.wait_for_load_state()  # with the script that copies
    button = page.get_by_role("button", name="Copy").first
    button.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied == "./opstrace ta-create-token showdown default KEYPAIR_FILE --out default.jwt"
    assert problems == []
