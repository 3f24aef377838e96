"""An update of the page that ends in the middle: its engine is killed alone, then with the page, or Ctrl-C interrupts it."""

import signal

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import SECONDS, chromium
from tests.support.killing import OPERATION_SECONDS, engine_at_work, kill
from tests.support.polling import eventually
from tests.support.served_page import ServedPage, apply, open_tenant, served_instance, show_plan, wait_for_end
from tests.support.user_session import LABELS, UserSession, url

KILLED, INTERRUPTED = "pagekilled", "pageinterrupted"  # tenants whose addition ends in the middle


def in_the_middle(started: ServedPage, page: Page) -> psutil.Process:
    """Return the engine of the page's update, once the page says that resources are created."""
    expect(page.locator(".operation").last).to_contain_text("created")
    return engine_at_work(started.process.pid, "up")


def resume(page: Page, tenant: str) -> None:
    """Complete the addition of a tenant, as the page says after it was killed."""
    page.get_by_role("link", name=tenant, exact=True).press("Enter")
    page.get_by_role("link", name="Change", exact=True).press("Enter")
    page.get_by_role("button", name="Apply the file as it is").press("Enter")
    apply(page)
    wait_for_end(page)


def require_complete(walk: UserSession, tenant: str) -> None:
    """Fail unless the tenant has all of its resources once, and another one answers."""
    urns = [entry["urn"] for entry in walk.resources()]
    assert len(urns) == len({*urns}) and sum(f"tenant-{tenant}" in urn for urn in urns) == 33
    assert len(walk.buckets(tenant)) == 3
    assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200


@pytest.mark.nightly  # minutes; tests/integration/test_page_progress.py kills the engine in each run
def test_a_killed_update_is_told_and_resumes_also_after_the_page_was_killed(
    walk: UserSession, file_as_before: None
) -> None:
    with chromium() as browser:
        with served_instance(walk) as started:
            page, _ = started.open(browser)
            show_plan(page, KILLED, on_delete="purge")
            apply(page)
            assert kill(in_the_middle(started, page))
            expect(page.get_by_role("status")).to_have_text("failed")
            page.reload()
            expect(page.get_by_text("The engine was killed by SIGKILL.")).to_be_visible()
            page.get_by_role("button", name="Run it again").press("Enter")
            expect(page.get_by_text("no update with it has completed: it resumes")).to_be_visible()
            apply(page)
            engine = in_the_middle(started, page)
            started.process.kill()
            kill(engine)
        with served_instance(walk) as started:
            page, _ = started.open(browser)
            resume(page, KILLED)
            open_tenant(page, KILLED)
    require_complete(walk, KILLED)


@pytest.mark.nightly  # minutes; test_page.py interrupts an update once in each run
def test_a_second_interrupt_ends_the_update_and_the_next_page_completes_it(
    walk: UserSession, file_as_before: None
) -> None:
    with chromium() as browser:
        with served_instance(walk) as started:
            page, _ = started.open(browser)
            show_plan(page, INTERRUPTED, on_delete="purge")
            apply(page)
            in_the_middle(started, page)
            started.process.send_signal(signal.SIGINT)
            title = f"Add the tenant {INTERRUPTED}"
            eventually(lambda: started.said[-1].startswith(f"An update is under way: {title}. "), SECONDS)
            page.reload()
            in_the_middle(started, page)  # page and update go on
            started.process.send_signal(signal.SIGINT)
            assert started.process.wait(OPERATION_SECONDS) == 0
            eventually(lambda: started.said[-1].startswith(f"{title}: interrupted: "), SECONDS)
            assert started.said[-2].startswith("The update is interrupted. ")
        with served_instance(walk) as started:
            page, _ = started.open(browser)
            resume(page, INTERRUPTED)
            expect(page.get_by_text("Cleared the lock")).to_have_count(0)  # the engine has released it
    require_complete(walk, INTERRUPTED)
