"""The page of a command that serves it, used in Chromium: each browser begins with the newest link of its output."""

import datetime
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

from playwright.sync_api import Browser, Page, expect

from scripts.stackfile.file import StackFile
from scripts.tenants.locate import entry_of
from tests.support.browser import SECONDS, without_problems
from tests.support.factories import settings
from tests.support.shell import ROOT
from tests.support.user_session import INSTANCE, UserSession


class ServedPage:
    """A process that serves a page, and whose standard error has a link for each browser."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._links: Queue[str] = Queue()
        self.said: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.said.append(line)
            for link in re.findall(r"http://\S+", line):
                self._links.put(link)

    def open(self, browser: Browser, **options: Any) -> tuple[Page, list[str]]:
        """Return the page in a new browser with a session, and the list of its problems; `options` are Playwright's."""
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(SECONDS * 1000)
        problems = without_problems(page)
        page.goto(self.link())
        expect(page.get_by_role("heading", name="Tenants")).to_be_visible()
        return page, problems

    def link(self) -> str:
        """Return a link that begins a session, which no browser has used."""
        return self._links.get(timeout=SECONDS)

    @property
    def site(self) -> str:
        """The page's address, without a path."""
        link = next(link for line in self.said for link in re.findall(r"(http://[^/\s]+)/", line))
        return str(link)


@contextmanager
def served(command: list[str], **options: Any) -> Iterator[ServedPage]:
    """Serve a page by a command until the block ends; `options` are those of `Popen`."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            yield ServedPage(process)
        finally:
            process.terminate()  # unlike a kill, it lets the page remove its files and end its updates
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def served_instance(walk: UserSession, *options: str, provider: str = "local") -> AbstractContextManager[ServedPage]:
    """Serve the page of the user's instance, as the user does."""
    command = [walk.project.launcher, "ui", provider, INSTANCE, "--no-browser", *options]
    return served(command, cwd=walk.folder, env=walk.shell)


def written_stack(folder: Path, *tenants: dict[str, Any]) -> StackFile:
    """Write the stack file of an instance with the tenant `default` and these, by default `ops`; return it."""
    file = StackFile("showdown", folder)
    others = tenants or ({"name": "ops", "owner": "Ann"},)
    for name, value in settings(tenants=[{"name": "default"}, *others]).items():
        file.set(name, value)
    file.write()
    return file


def served_stacks(folder: Path, *options: str) -> AbstractContextManager[ServedPage]:
    """Serve the page of a folder's stack files, over an engine and a cluster of the test."""
    return served([sys.executable, "-P", "-m", "tests.support.page", str(folder), *options], cwd=ROOT)


def settled(page: Page) -> None:
    """Wait until the parts that follow a view are there."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def show_plan(
    page: Page, tenant: str, *, own_stack: bool = False, on_delete: str = "", others: Sequence[str] = ()
) -> None:
    """Fill in the form of a new tenant, and let the page show its plan.

    `others` are tenants that are not applied yet, so that the plan has them too.
    """
    page.get_by_role("link", name="Tenants", exact=True).press("Enter")
    page.get_by_role("link", name="Add a tenant").press("Enter")
    page.get_by_label("Name", exact=True).fill(tenant)
    if own_stack:
        page.get_by_label("A stack of its own").check()
    page.get_by_label("onDelete").select_option(on_delete)
    page.get_by_role("button", name="Show the plan").press("Enter")
    names = ", ".join((*others, tenant))
    expect(page.get_by_text(f"{len(others) + 1} tenant{'s' if others else ''} to add ({names})")).to_be_visible()


def apply(page: Page) -> None:
    """Confirm the plan that a page shows."""
    page.get_by_role("button", name="Apply", exact=True).press("Enter")


def wait_for_end(page: Page) -> None:
    """Wait until the change that a page shows has ended well."""
    expect(page.get_by_role("status")).to_have_text("done")


def open_tenant(page: Page, tenant: str) -> None:
    """Select a tenant in the list, once it is ready."""
    page.get_by_role("link", name="Tenants", exact=True).press("Enter")
    expect(page.locator(f"#tenant-{tenant} .state")).to_have_text("ready")
    page.get_by_role("link", name=tenant, exact=True).click()  # a key could meet a row that is being updated
    expect(page.get_by_role("heading", name=tenant, exact=True, level=1)).to_be_visible()


def finds(page: Page, words: str) -> bool:
    """Run the query of Explore's editor, and tell whether the answer is this."""
    page.get_by_role("textbox", name="Query").press("Control+Enter")
    expect(page.get_by_role("status")).not_to_have_text("The query is running.")
    return page.get_by_role("status").inner_text() == words  # "" after an error


def delete(page: Page, tenant: str, data: str, tokens: str = "") -> None:
    """Delete a tenant; `data` and `tokens` say what becomes of them, in the form's words."""
    open_tenant(page, tenant)
    page.get_by_role("link", name="Delete", exact=True).press("Enter")
    expect(page.locator("dt:text-is('Data') + dd")).to_have_text(re.compile(r"\d+ objects, .* in 3 buckets, "))
    page.get_by_label("Data", exact=True).select_option(label=data)
    if tokens:
        page.get_by_label("Tokens", exact=True).select_option(label=tokens)
    page.get_by_label("Type the tenant's name to go on").fill(tenant)
    page.get_by_role("button", name=f"Delete {tenant}").press("Enter")


def refuses_to_delete_what_is_protected(walk: UserSession, page: Page, tenant: str) -> None:
    """Protect a tenant in the file until the page has refused to delete it."""
    before, file = walk.stack_path.read_text(), walk.stack_file()
    entry_of(file, tenant)["protect"] = True
    file.write()
    open_tenant(page, tenant)
    page.get_by_role("link", name="Delete", exact=True).press("Enter")
    expect(page.get_by_text(f"the tenant {tenant} is protected")).to_be_visible()
    expect(page.get_by_role("button", name=f"Delete {tenant}")).to_have_count(0)
    walk.stack_path.write_text(before)


def open_retained(page: Page, tenant: str, expires: str = "never") -> None:
    """Select the retained data of a tenant in the list, which must have objects, and which must expire then."""
    page.get_by_role("link", name="Retained data", exact=True).press("Enter")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=tenant, exact=True))
    expect(row.locator("td").nth(3)).to_have_text(re.compile(r"^[1-9][\d,]*$"))
    expect(row.locator("td").nth(4)).to_have_text(re.compile(r"^[1-9][\d.]* [kM]?B$"))
    expect(row.locator("td").nth(5)).to_have_text(expires)
    row.get_by_role("link").press("Enter")
    expect(page.get_by_role("heading", name=f"Retained data of {tenant}")).to_be_visible()


def let_expire(page: Page, tenant: str, days: int) -> str:
    """Let the retained data of a tenant, which the page shows, expire; return the day."""
    day = (datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)).isoformat()
    page.get_by_label("Days from now").fill(str(days))
    page.get_by_role("button", name="Let it expire").press("Enter")
    wait_for_end(page)
    expect(
        page.get_by_text(re.compile(rf"^S3 empties the 3 buckets of {tenant} \(\w+\) on {day} \(UTC\)\.$"))
    ).to_be_visible()
    return day


def purge(page: Page, tenant: str) -> None:
    """Delete the retained data of a tenant, which the page shows: it refuses another name, and takes the right one."""
    typed = page.get_by_label("Type the tenant's name to delete this data for good")
    for name in ("default", tenant):
        typed.fill(name)
        page.get_by_role("button", name="Delete the data").press("Enter")
        if name != tenant:
            expect(page.get_by_role("alert")).to_have_text(f"'{name}' is not the name {tenant}: nothing is changed.")
    wait_for_end(page)
    expect(
        page.get_by_text(re.compile(rf"^Nothing is left of the retained data of {tenant} \(\w+\): "))
    ).to_be_visible()


def require_not_retained(page: Page, tenant: str) -> None:
    """Fail if the list of retained data has some of a tenant."""
    page.get_by_role("link", name="Retained data", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Retained data", exact=True)).to_be_visible()
    settled(page)
    expect(page.get_by_role("link", name=tenant, exact=True)).to_have_count(0)
