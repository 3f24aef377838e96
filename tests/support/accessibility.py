"""What keeps people from using a page: findings of axe-core, scrolling to the side, motion, controls without keys."""

from collections.abc import Sequence
from typing import Any, Literal

from playwright.sync_api import Page, ViewportSize

from supplychain.vendored import TESTS

# Of axe's levels minor, moderate, serious and critical.
SERIOUS = ("serious", "critical")
WHOLE: ViewportSize = {"width": 1280, "height": 800}
ZOOMED: ViewportSize = {"width": 640, "height": 400}  # that window at 200 %, in CSS pixels
# The rules of axe that depend on colors and sizes. The others find the same in each setting.
OF_STYLE = ("color-contrast", "link-in-text-block", "scrollable-region-focusable")
SETTINGS: tuple[tuple[Literal["light", "dark"], ViewportSize], ...] = (("light", WHOLE), ("dark", ZOOMED))
MOST_CONTROLS = 500
CONTROLS = 'a[href], button, input, select, textarea, summary, [tabindex="0"], [contenteditable="true"]'
# Keeps the controls that are to be reached, and lets Tab begin at the start of the page.
BEGIN = f"""() => {{
    const all = [...document.querySelectorAll('{CONTROLS}')];
    window.controls = new Set(all.filter((one) => one.type !== 'hidden' && one.checkVisibility()));
    window.reached = new Set();
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
}}"""
# What is wrong with the element that has the focus, "" for nothing. Null after the last one, or where the focus stays.
LOOK = """async () => {
    const one = document.activeElement;
    if (!one || one === document.body || reached.has(one)) return null;
    reached.add(one);
    controls.delete(one);
    const name = one.outerHTML.slice(0, 100);
    const isShown = (part) => part && (getComputedStyle(part).outlineStyle !== 'none' || isShown(part.parentElement));
    if (!isShown(one)) await new Promise((done) => setTimeout(done, 100));  // the editor marks itself after 10 ms
    if (!isShown(one)) return `no focus is shown at ${name}`;
    const {left, right, top, bottom} = one.getClientRects()[0];
    const x = (Math.max(left, 0) + Math.min(right, innerWidth)) / 2;
    const y = (Math.max(top, 0) + Math.min(bottom, innerHeight)) / 2;
    const hit = document.elementFromPoint(x, y);
    return one.contains(hit) ? '' : `${hit?.outerHTML.slice(0, 100)} covers ${name}`;
}"""
LEFT = """() => [...controls].filter((one) => one.isConnected && one.checkVisibility())
    .map((one) => `not reached: ${one.outerHTML.slice(0, 100)}`)"""


def barriers(page: Page) -> list[str]:
    """Return what keeps people from using what a page shows, light and dark, at 100 % and 200 %, by keyboard.

    Afterwards, the page is dark and at 200 %, and the focus is at its end.
    """
    found = []
    for rules, (scheme, window) in zip(((), OF_STYLE), SETTINGS, strict=True):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(window)
        found += [f"{scheme}: {finding}" for finding in serious_findings(page, rules)]
        if wide := overflow(page):
            found.append(f"{wide} pixels wider than a window of {window['width']} pixels")
    return found + [f"moves: {one}" for one in motion(page)] + without_keys(page)


def serious_findings(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Return what axe finds to be a serious or critical barrier on a page, each with its rule and the first element.

    With `rules`, it looks for these alone.
    """
    if not page.evaluate("'axe' in window"):  # as a debugger does: the page's policy lets no other script in
        page.evaluate((TESTS.folder / "axe.min.js").read_text())
    options = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": [*rules]} if rules else {})
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
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


def without_keys(page: Page) -> list[str]:
    """Return the controls that Tab does not reach, those that show no focus, and those that something covers then."""
    page.evaluate(BEGIN)
    problems: list[str] = []
    for _ in range(MOST_CONTROLS):
        page.keyboard.press("Tab")
        problem: str | None = page.evaluate(LOOK)
        if problem is None:
            break
        problems += [problem] if problem else []
    left: list[str] = page.evaluate(LEFT)
    return problems + left
