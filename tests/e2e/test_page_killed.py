"""An update of the page that is killed in the middle: its engine alone, then the page with its engine."""

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import SECONDS, chromium
from tests.support.killing import engine_of, kill
from tests.support.polling import eventually
from tests.support.served_page import ServedPage, apply, open_tenant, served_instance, show_plan, wait_for_end
from tests.support.user_session import LABELS, UserSession, url

TENANT = "pagekilled"


def engine_at_work(started: ServedPage, page: Page, done: str) -> psutil.Process:
    """Return the engine of the page's update, once the page says that resources are `done`."""
    expect(page.locator(".operation").last).to_contain_text(done)
    found: list[psutil.Process] = []

    def runs() -> bool:
        engine = engine_of(started.process.pid)
        found[:] = [engine[0]] if engine and engine[1].startswith("up") else []
        return bool(found)

    eventually(runs, SECONDS)
    return found[0]


@pytest.mark.nightly  # minutes; tests/integration/test_page_progress.py kills the engine in each run
def test_a_killed_update_is_told_and_resumes_also_after_the_page_was_killed(
    walk: UserSession, file_as_before: None
) -> None:
    with chromium() as browser:
        with served_instance(walk) as started:
            page, _ = started.open(browser)
            show_plan(page, TENANT, on_delete="purge")
            apply(page)
            assert kill(engine_at_work(started, page, "created"))
            expect(page.get_by_role("status")).to_have_text("failed")
            page.reload()
            expect(page.get_by_text("The engine was killed by SIGKILL.")).to_be_visible()
            page.get_by_role("button", name="Run it again").press("Enter")
            expect(page.get_by_text("no update with it has completed: it resumes")).to_be_visible()
            apply(page)
            engine = engine_at_work(started, page, "created")
            started.process.kill()
            kill(engine)
        with served_instance(walk) as started:
            page, _ = started.open(browser)
            page.get_by_role("link", name=TENANT, exact=True).press("Enter")
            page.get_by_role("link", name="Change", exact=True).press("Enter")
            page.get_by_role("button", name="Apply the file as it is").press("Enter")
            apply(page)
            wait_for_end(page)
            open_tenant(page, TENANT)
    urns = [entry["urn"] for entry in walk.resources()]
    assert len(urns) == len({*urns}) and sum(f"tenant-{TENANT}" in urn for urn in urns) == 33
    assert len(walk.buckets(TENANT)) == 3
    assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200
