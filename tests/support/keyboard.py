"""The keyboard of somebody without a mouse: Tab leads to a control, and keys use it."""

from playwright.sync_api import Locator, Page, expect

MOST_PRESSES = 500
HAS_FOCUS = "one => one === document.activeElement"


class Keyboard:
    """Uses a page by its keyboard alone."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def reach(self, control: Locator) -> None:
        """Press Tab until a control has the focus; fails where Tab does not lead there."""
        expect(control).to_be_visible()
        for _ in range(MOST_PRESSES):
            if control.evaluate(HAS_FOCUS):
                return
            self._page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {control}")

    def press(self, control: Locator, key: str = "Enter") -> None:
        """Press a key at a control."""
        self.reach(control)
        self._page.keyboard.press(key)

    def write(self, field: Locator, text: str, end: str = "") -> None:
        """Replace the text of a field, and press a key at the `end`."""
        self.press(field, "Control+A")
        self._page.keyboard.press("Delete")
        self._page.keyboard.type(text)
        if end:
            self._page.keyboard.press(end)

    def choose(self, select: Locator, value: str) -> None:
        """Choose a later option of a list by its value."""
        self.reach(select)
        while select.input_value() != value:
            before = select.input_value()
            self._page.keyboard.press("ArrowDown")
            assert select.input_value() != before, f"{select} has no later option {value}"
