"""What a hostile site, program or stack file can do to a page that Chromium has open: other names, other origins, old links, scripts."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_httpserver import HTTPServer

from components.core.public_keys import key_id
from scripts.stackfile.file import StackFile
from scripts.tokens.issued import record
from scripts.tokens.signing import Grant
from tests.support.browser import chromium, without_problems
from tests.support.factories import KEY
from tests.support.served_page import ServedPage, served_stacks, written_stack

EVIL = "evil.example"
SCRIPT = "<img src=x onerror=window.ran=1><script>window.ran=1</script>"
TOKEN = Grant(instance="showdown", tenant="ops", seconds=4_000_000_000, issued=1, id="1", name=SCRIPT)
OTHER_ORIGIN = "A page of another origin may not send requests to this one."


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for which the name of the hostile site is this machine: DNS rebinding."""
    with chromium(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as one:
        yield one


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> StackFile:
    return written_stack(tmp_path_factory.mktemp("stacks"))


@pytest.fixture(scope="module")
def started(stack: StackFile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """A page in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        record(key_id(KEY), [TOKEN])
        with served_stacks(stack.path.parent) as one:
            yield one


@pytest.fixture
def page(started: ServedPage, browser: Browser, stack: StackFile) -> Iterator[Page]:
    """A page with a session. After the test, nothing has changed."""
    before = stack.path.read_text()
    page, _ = started.open(browser)
    yield page
    assert stack.path.read_text() == before
    page.goto(f"{started.site}/changes")
    expect(page.get_by_text("This page has made no change yet.")).to_be_visible()


def text_of(page: Page, url: str) -> tuple[int, str]:
    """Return the status and the text that a browser gets for a URL."""
    answer = page.goto(url)
    assert answer
    return answer.status, page.locator("body").inner_text().strip()


def attack(httpserver: HTTPServer, html: str) -> str:
    """Serve a hostile site with this content; return its URL.

    To browsers, the ports of an address are one site: a cookie of one is sent to all, also with `SameSite=Strict`.
    """
    httpserver.expect_request("/").respond_with_data(f"<!doctype html>{html}", content_type="text/html")
    return httpserver.url_for("/").replace("localhost", "127.0.0.1")


def test_another_name_that_leads_here_gets_nothing(page: Page, started: ServedPage, browser: Browser) -> None:
    link, rebound = started.link(), started.site.replace("127.0.0.1", EVIL)
    for url in (rebound, f"{rebound}/tenants/ops", link.replace("127.0.0.1", EVIL)):
        status, text = text_of(page, url)
        assert status == 421 and text == f"This page is at {started.site}/."
    other = browser.new_context().new_page()
    other.goto(link)  # the link was not used up
    expect(other.get_by_role("heading", name="Tenants")).to_be_visible()


@pytest.mark.parametrize("host", ["127.0.0.1", EVIL])
@pytest.mark.parametrize("path", ["/tenants/ops/delete", "/tenants/ops/change", "/add", "/changes/1/answer"])
def test_a_form_of_another_site_is_refused(
    page: Page, started: ServedPage, httpserver: HTTPServer, host: str, path: str
) -> None:
    fields = "".join(f"<input name={name} value=ops>" for name in ("name", "owner", "csrf"))
    form = f"<form method=post action={started.site}{path}>{fields}<button>Win a prize</button></form>"
    page.goto(attack(httpserver, form).replace("127.0.0.1", host))
    page.get_by_role("button").click()
    expect(page).to_have_url(f"{started.site}{path}")
    expect(page.get_by_text(OTHER_ORIGIN)).to_be_visible()


def test_another_site_reads_and_frames_nothing(page: Page, started: ServedPage, httpserver: HTTPServer) -> None:
    site = started.site
    page.goto(attack(httpserver, f"<iframe src={site}></iframe><script src={site}/static/copy.js></script>"))
    for mode in ("no-cors", "cors"):
        refused = page.evaluate(
            "([url, mode]) => fetch(url, {mode, credentials: 'include'}).then(() => 'read', () => 'refused')",
            [f"{site}/tenants/ops", mode],
        )
        assert refused == "refused"
    framed = page.frames[1]
    framed.wait_for_load_state()
    assert framed.url != f"{site}/" and 'id="rows"' not in framed.content()


def test_without_a_cookie_there_is_nothing(page: Page, started: ServedPage, browser: Browser) -> None:
    status, text = text_of(browser.new_context().new_page(), f"{started.site}/tenants/ops")
    assert status == 401 and text.startswith("This browser has no session.")
    page.goto(f"{started.site}/tenants/ops/change")
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.get_by_label("owner").fill("Mallory")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_text("This browser has no session.")).to_be_visible()
    page.context.add_cookies(cookies)  # type: ignore[arg-type]  # Playwright gives and takes cookies in two types


def test_a_link_begins_one_session(page: Page, started: ServedPage, browser: Browser) -> None:
    link = started.link()
    assert text_of(browser.new_context().new_page(), link)[0] == 200
    for url in (link, f"{started.site}/login?token=x"):
        status, text = text_of(browser.new_context().new_page(), url)
        assert status == 401 and text.startswith("This link was used already")


def test_a_form_with_the_token_of_another_session_is_refused(page: Page, started: ServedPage, browser: Browser) -> None:
    other, _ = started.open(browser)
    for one in (page, other):
        one.goto(f"{started.site}/tenants/ops/change")
    stale = other.locator("main input[name=csrf]").input_value()
    page.locator("main input[name=csrf]").evaluate("(field, stale) => { field.value = stale }", stale)
    page.get_by_label("owner").fill("Mallory")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_text("The form belongs to another session.")).to_be_visible()


def test_scripts_in_forms_and_in_names_of_tokens_are_text(page: Page, started: ServedPage) -> None:
    problems = without_problems(page)
    page.goto(f"{started.site}/tenants/ops")
    expect(page.get_by_role("cell", name=SCRIPT)).to_be_visible()
    page.goto(f"{started.site}/tenants/ops/change")
    for label, text in (("owner", SCRIPT), ("labels", f"{SCRIPT}={SCRIPT}")):
        page.get_by_label(label, exact=True).fill(text)
        page.get_by_role("button", name="Show the plan").click()
        expect(page.get_by_role("alert")).to_contain_text(label)
        assert page.get_by_label(label, exact=True).input_value() == text
        assert page.evaluate("window.ran") is None
        page.get_by_label(label, exact=True).fill("")
    assert len(problems) == 2 and all("422" in one for one in problems)  # the refused forms


def test_scripts_in_a_stack_file_are_text(page: Page, started: ServedPage, stack: StackFile) -> None:
    """The models refuse them, so each view shows the file's errors."""
    before, problems = stack.path.read_text(), without_problems(page)
    stack.path.write_text(before.replace("owner: Ann", f"owner: '{SCRIPT}'\n      labels: {{'{SCRIPT}': '{SCRIPT}'}}"))
    try:
        page.goto(started.site)
        shown = page.get_by_role("alert")
        expect(shown).to_contain_text(SCRIPT)
        page.get_by_label("Filter").fill(SCRIPT)
        expect(page.locator("#rows")).to_contain_text("0 of 0 tenants")
        for path in ("/instance", "/add", "/tenants/ops", "/explore"):
            page.goto(f"{started.site}{path}")
            expect(page.locator("main")).to_contain_text(re.compile("owner|labels"))
            assert page.evaluate("window.ran") is None and page.locator("main img, main script").count() == 0
    finally:
        stack.path.write_text(before)
    assert [one for one in problems if "422" not in one] == []


def test_a_script_that_gets_into_a_view_does_not_run(page: Page, started: ServedPage) -> None:
    """No view lets one in. Where one did, the policy stops it."""
    refused = without_problems(page)
    page.evaluate(
        "document.body.append(document.createRange().createContextualFragment('<script>window.ran=1</script>'))"
    )
    page.evaluate(f"document.body.insertAdjacentHTML('beforeend', '{SCRIPT}')")
    page.wait_for_function("() => [...document.images].every((one) => one.complete)")
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in one for one in refused), refused
