"""The stream of events follows the list and a change."""

import threading
import time
from typing import Any

import pytest

from components.core.public_keys import key_id
from scripts.tokens.issued import record
from scripts.tokens.signing import Grant
from scripts.web.changes.change import Task
from scripts.web.views import tenants
from tests.support.factories import KEY
from tests.support.page import Site
from tests.support.polling import eventually

MANY_NOTES = 30  # a tenth of a second after each other: the stream looks several times meanwhile


def test_the_stream_of_a_change_tells_of_its_progress_until_the_page_ends(site: Site) -> None:
    ended = threading.Event()

    def work(context: Any) -> None:
        while not ended.wait(0.1):
            context.terminal.note("still at work")

    task = Task(title="Add the tenant shop", stack="showdown", tenant="shop", work=work)
    change = site.page.changes.start(site.page.context, task)

    def end() -> None:
        eventually(lambda: site.page.tenants.is_watched, 60)
        before = len(change.conversation.entries)
        eventually(lambda: len(change.conversation.entries) > before + MANY_NOTES, 60)
        ended.set()
        site.page.is_ending = True

    ender = threading.Thread(target=end)
    ender.start()
    text = site.browser().get(f"/events?change={change.id}")
    ender.join(60)
    change.wait(60)
    assert text.count("event: progress") >= 2 and text.count("event: changes") == 1
    assert text.count("event: tenants") >= 1 and text.count("event: ages") >= 1 and not site.page.tenants.is_watched


def test_views_are_told_in_rounds_to_ask_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        """The time of the stream, which passes while it sleeps."""

        now = 0.0

        def monotonic(self) -> float:
            return self.now

        async def sleep(self, seconds: float) -> None:
            self.now += seconds
            site.page.is_ending = self.now > 700

    clock = Clock()
    monkeypatch.setattr(tenants, "time", clock)
    monkeypatch.setattr(tenants, "anyio", clock)
    text = site.browser().get("/events")
    assert text.count("event: figures") == 700 // 30 and text.count("event: account") == 700 // 300
    assert text.count("event: files") == 1 + 700 // tenants.REDRAW_SECONDS  # tokens end without a change of a file
    assert "event: turned" not in text
    first = text.split("\n\n")[:4]  # a view that was just opened has asked already
    assert first == [f"event: {name}\ndata:" for name in ("tenants", "ages", "changes", "files")]


def test_views_are_told_of_changed_files_and_issued_tokens(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def issue() -> None:
        record(key_id(KEY), [Grant(instance="showdown", tenant="default")])

    def change() -> None:
        site.stack.write_text(f"{site.stack.read_text()}# a comment\n")
        site.page.tenants.read()

    def end() -> None:
        site.page.is_ending = True

    class Steps:
        """What happens while the stream sleeps."""

        left = [issue, change, end]

        async def sleep(self, _: float) -> None:
            self.left.pop(0)()

    site.read()
    monkeypatch.setattr(tenants, "anyio", Steps())
    assert site.browser().get("/events").count("event: files") == 3


def test_views_are_told_when_a_change_turns(site: Site) -> None:
    ended = threading.Event()
    task = Task(title="Add the tenant shop", stack="showdown", tenant="shop", work=lambda _: ended.wait(60))
    change = site.page.changes.start(site.page.context, task)

    def end() -> None:
        eventually(lambda: site.page.tenants.is_watched, 60)
        ended.set()
        change.wait(60)
        time.sleep(4 * tenants.LOOK_SECONDS)
        site.page.is_ending = True

    ender = threading.Thread(target=end)
    ender.start()
    text = site.browser().get("/events")
    ender.join(60)
    assert text.count("event: turned") == 1 and text.count("event: changes") == 2


def test_the_output_of_the_engine_is_shown_as_text(site: Site) -> None:
    def work(context: Any) -> None:
        context.output.line("\x1b[31mUpdating\x1b[0m <script>alert(1)</script>\n")

    task = Task(title="Add the tenant shop", stack="showdown", tenant="shop", work=work)
    change = site.page.changes.start(site.page.context, task)
    change.wait(60)
    browser = site.browser()
    shown = "Updating &lt;script&gt;alert(1)&lt;/script&gt;"
    assert browser.get(f"/changes/{change.id}/output") == shown
    assert shown in browser.get(f"/changes/{change.id}")
    assert "no such change" in browser.get("/changes/nothing", 404)


def test_a_fault_is_told_and_its_traceback_stands_in_the_terminal(site: Site, capfd: Any) -> None:
    task = Task(title="Add the tenant shop", stack="showdown", tenant="shop", work=lambda _: int("x"))
    change = site.page.changes.start(site.page.context, task)
    change.wait(60)
    assert change.state == "failed" and "this is a fault of opstrace" in str(change.error)
    assert "ValueError" in capfd.readouterr().err
