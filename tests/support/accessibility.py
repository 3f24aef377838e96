"""What axe-core finds on a page, and how a page looks in other settings of a browser."""

from typing import Any

from playwright.sync_api import Page

from supplychain.vendored import TESTS

# Of axe's levels minor, moderate, serious and critical.
SERIOUS = ("serious", "critical")


def serious_findings(page: Page) -> list[str]:
    """Return what axe finds to be a serious or critical barrier on a page, each with its rule and the first element."""
    page.evaluate(
        (TESTS.folder / "axe.min.js").read_text()
    )  # as a debugger does: the page's policy lets no other script in
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][0]['html']}: {one['nodes'][0]['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    width: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return width


def motion(page: Page) -> list[str]:
    """Return the elements that move: by an animation, or by a transition or a scroll that takes time."""
    moving: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('*')].filter((one) => {
            const style = getComputedStyle(one);
            return style.animationName !== 'none' || style.transitionDuration.split(', ').some((time) => time !== '0s')
                || style.scrollBehavior === 'smooth';
        }).map((one) => one.outerHTML.slice(0, 100))"""
    )
    return moving
