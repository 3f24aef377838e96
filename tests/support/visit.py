"""A browser at the page of `tests.support.staged`, which somebody uses by the keyboard alone."""

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.support.keyboard import Keyboard
from tests.support.served_page import settled


class Visit:
    """A browser at a page about a folder, and its keyboard."""

    def __init__(self, page: Page, site: str, folder: Path) -> None:
        self.page, self.site, self.folder = page, site, folder
        self.keys = Keyboard(page)

    def open(self, path: str) -> None:
        """Open a view by its address, and wait for its parts."""
        self.page.goto(f"{self.site}{path}")
        settled(self.page)

    def link(self, name: str) -> Locator:
        """Return the link of this name, the first of several."""
        return self.page.get_by_role("link", name=name, exact=True).first

    def button(self, name: str) -> Locator:
        """Return the button of this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def open_details(self) -> None:
        """Open all parts of the view that are closed: the first by its key, the others without, which takes less time."""
        self.keys.press(self.page.locator("main details:not([open]) > summary").first)
        self.page.evaluate("document.querySelectorAll('main details').forEach((part) => { part.open = true })")

    def show_plan(self, tenant: str, owner: str) -> None:
        """Change the owner of a tenant, up to the question whether to apply it."""
        self.open(f"/tenants/{tenant}/change")
        self.keys.write(self.page.get_by_label("owner"), owner, "Enter")
        expect(self.button("Apply")).to_be_visible()
