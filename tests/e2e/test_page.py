"""The tenants page of a real instance in Chromium: the list, a change with the engine's progress, and a second browser."""

import re
import signal
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium, without_problems
from tests.support.user_session import INSTANCE, UserSession

SECONDS = 90  # for an update, also on a slow machine


class Served:
    """The page's command, whose output has a link for each browser."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def open(self, browser: Browser) -> tuple[Page, list[str]]:
        """Return a page of a new browser with a session, and the list of its problems."""
        assert self.process.stderr
        line = next(line for line in self.process.stderr if "http://" in line)
        page = browser.new_context().new_page()
        problems = without_problems(page)
        page.goto(re.findall(r"http://\S+", line)[0])
        expect(page.get_by_role("heading", name="Tenants")).to_be_visible(timeout=SECONDS * 1000)
        return page, problems


@pytest.fixture
def served(walk: UserSession) -> Iterator[Served]:
    command = [walk.project.launcher, "ui", "local", INSTANCE, "--no-browser"]
    with subprocess.Popen(command, cwd=walk.folder, env=walk.shell, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Served(process)
        finally:
            process.kill()


def test_a_tenant_is_changed_in_a_browser_and_another_one_sees_it(
    walk: UserSession, served: Served, file_as_before: None
) -> None:
    with chromium() as browser:
        page, problems = served.open(browser)
        other, problems_of_other = served.open(browser)
        for one in (page, other):
            expect(one.locator("#tenant-default .state")).to_have_text("ready", timeout=SECONDS * 1000)
        page.get_by_role("link", name="default", exact=True).press("Enter")
        expect(page.get_by_text("Active series")).to_be_visible(timeout=SECONDS * 1000)
        page.get_by_role("link", name="Change", exact=True).press("Enter")
        page.get_by_label("owner").fill("team web")
        page.get_by_label("owner").press("Enter")
        expect(page.get_by_text("Apply this change?")).to_be_visible(timeout=SECONDS * 1000)
        expect(page.get_by_text("owner: team web")).to_be_visible()
        expect(page.get_by_text("1 tenant to change (default)")).to_be_visible()
        assert "team web" not in walk.stack_path.read_text()
        expect(other.locator("#banner")).to_contain_text("waits for an answer", timeout=SECONDS * 1000)
        other.get_by_role("link", name="Change the tenant default").click()
        page.get_by_role("button", name="Apply").press("Enter")
        for one in (page, other):
            expect(one.get_by_role("status")).to_have_text("done", timeout=SECONDS * 1000)
            expect(one.get_by_text(re.compile(r"\d+ updated, \d+ without a change"))).to_be_visible()
        other.get_by_role("link", name="All tenants").click()
        expect(other.locator("#tenant-default")).to_contain_text("team web", timeout=SECONDS * 1000)
        assert problems == problems_of_other == []
    assert "owner: team web" in walk.stack_path.read_text()
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(SECONDS) == 0
