"""Serving the page: its address, its URL, and its end, also during an update."""

import http.client
import itertools
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from components.core.errors import UserError
from scripts.cli.ui import ui
from scripts.clients.providers import Provider, Start
from scripts.stackfile.file import StackFile
from scripts.web import browser
from scripts.web.changes.change import Task
from scripts.web.server import Options, Server, serve
from tests.support.contexts import FakeContext
from tests.support.hanging_server import hanging_server
from tests.support.page import CHECKED, CHECKS_BEGIN, Site
from tests.support.polling import eventually
from tests.support.shell import ROOT

MOST_END_SECONDS = 10  # a second on a quiet machine; requests to an S3 that hangs take minutes


@contextmanager
def page_process(stack: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a page in a process of its own, with the options of `tests.support.page`, until the block ends."""
    command = [sys.executable, "-P", "-m", "tests.support.page", str(stack.parent), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def running(stack: Path) -> Iterator[subprocess.Popen[str]]:
    with page_process(stack) as process:
        yield process


def url_in(lines: Any) -> tuple[int, str]:
    """Return port and path of the next URL in a process's output."""
    line = next(line for line in lines if "http://" in line)
    match = re.search(r"http://127\.0\.0\.1:(\d+)(/login\?token=\S+)", line)
    assert match, line
    return int(match[1]), match[2]


def logged_in(process: subprocess.Popen[str]) -> tuple[int, dict[str, str]]:
    """Begin a session of a page's process, and return its port and the cookie as a header."""
    port, path = url_in(process.stderr)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    cookie = str(connection.getresponse().headers["Set-Cookie"]).split(";")[0]
    connection.close()
    return port, {"Cookie": cookie}


def test_a_page_is_served_and_followed_until_an_interrupt(running: subprocess.Popen[str], stack: Path) -> None:
    assert running.stderr
    port, path = url_in(running.stderr)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    cookie = str(answer.headers["Set-Cookie"]).split(";")[0]
    assert answer.status == 200 and answer.read()
    assert url_in(running.stderr) != (port, path)  # another token for another browser
    connection.request("GET", "/", headers={"Cookie": cookie})
    answer = connection.getresponse()
    assert answer.status == 200 and b"default" in answer.read() and "Server" not in answer.headers
    connection.request("GET", "/events", headers={"Cookie": cookie})
    stream = connection.getresponse()
    events = (line for line in iter(stream.readline, b"") if line.startswith(b"event:"))
    assert [next(events) for _ in range(3)] == [b"event: tenants\n", b"event: ages\n", b"event: changes\n"]
    stack.write_text(stack.read_text().replace("name: default", "name: default\n      owner: Ann"))
    assert b"event: tenants\n" in itertools.islice(events, 10)  # beside `files` and new ages
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 0  # the open stream does not hold it


def test_the_page_ends_soon_though_requests_to_s3_hang(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list's sum waits for S3 in a thread of a pool, and a view in a thread of a request."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with hanging_server() as s3:
        file = StackFile("showdown", stack.parent)
        file.set("aws", {"region": "us-west-2", "endpoints": {"s3": s3.url}})
        file.write()
        with page_process(stack, "--applied", "--account") as process:
            port, cookie = logged_in(process)
            view, stream = (http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(2))
            view.request("GET", "/retained/rows", headers=cookie)
            eventually(lambda: len(s3.connections) == 1, 60)
            stream.request("GET", "/events", headers=cookie)  # while a browser looks, the list is summed
            eventually(lambda: len(s3.connections) > 1, 60)
            process.send_signal(signal.SIGINT)
            try:
                assert process.wait(MOST_END_SECONDS) == 0
            finally:
                for one in (view, stream):
                    one.close()


def test_the_page_ends_after_checks_that_are_under_way_and_begins_no_other(stack: Path) -> None:
    with page_process(stack, "--checks") as process:
        port, cookie = logged_in(process)
        view, *clicks = (http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(4))
        view.request("GET", "/instance", headers=cookie)
        (csrf,) = re.findall(r'name="csrf" value="(.*?)"', view.getresponse().read().decode())
        form = cookie | {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/x-www-form-urlencoded"}
        try:
            for click in clicks:
                click.request("POST", "/instance/check", urlencode({"csrf": csrf}), form)
            view.request("GET", "/instance", headers=cookie)  # the answer follows the start of those before it
            assert view.getresponse().status == 200
            said = iter(process.stderr or ())
            assert f"{CHECKS_BEGIN}\n" in said
            process.send_signal(signal.SIGINT)
            assert any("The checks end first" in line for line in said)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            (stack.parent / CHECKED).touch()
            assert process.wait(60) == 0 and f"{CHECKS_BEGIN}\n" not in said
        finally:
            for one in (view, *clicks):
                one.close()


def test_the_url_is_shown_before_a_thread_loads_the_provider(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Loading(FakeContext):
        def require_provider(self, name: str) -> None:
            events.append(f"{name} is there")

        def provider(self, name: str, start: Start | None = None) -> Provider:
            events.append(threading.current_thread().name)
            return super().provider(name, start)

    monkeypatch.setattr(browser, "has_screen", lambda: True)
    monkeypatch.setattr(browser, "show", lambda _: events.append("shown"))
    monkeypatch.setattr(Server, "run", lambda *_, **__: eventually(lambda: len(events) > 2, 30))
    serve(Loading(stack.parent, lambda stack: None), "local", "showdown", Options())
    assert events[:2] == ["local is there", "shown"] and events[2] in ("tenant list", "states of the engine")


def test_no_other_address_of_this_machine_is_served(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux has all of 127.0.0.0/8 on loopback, so each process can reach 127.0.0.2 as it would reach other addresses."""
    ports: list[int] = []

    def run(_: Server, sockets: list[socket.socket]) -> None:
        ports.append(sockets[0].getsockname()[1])
        socket.create_connection(("127.0.0.1", ports[0]), 60).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", ports[0]), 60).close()

    monkeypatch.setattr(Server, "run", run)
    serve(FakeContext(stack.parent, lambda stack: None), "local", "showdown", Options(open_browser=False))
    assert ports


def test_a_port_in_use_is_told(stack: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port}: Address already in use; choose another by --port"):
            serve(FakeContext(stack.parent), "local", "showdown", Options(port=port, open_browser=False))


def test_a_missing_instance_is_told_before_anything_is_served(stack: Path) -> None:
    done = CliRunner().invoke(ui, ["local", "nothing", "--no-browser"], obj=FakeContext(stack.parent))
    assert isinstance(done.exception, UserError) and "there is no instance nothing" in str(done.exception)


class Changing:
    """A page with a change under way, in a server that gets signals."""

    def __init__(self, site: Site, work: Callable[[Any], object]) -> None:
        task = Task(title="Add the tenant shop", stack="showdown", tenant="shop", work=work, review=False)
        self.change = site.page.changes.start(site.page.context, task)
        self.server = Server(site.app, site.page)


@contextmanager
def waiting(site: Site) -> Iterator[Changing]:
    """A page with a change that works without an engine until the block ends, and is done then."""
    done = threading.Event()
    changing = Changing(site, lambda _: done.wait(60))
    yield changing
    done.set()
    changing.change.wait(60)
    assert changing.change.state == "done"


def test_an_interrupt_during_an_update_says_so_and_the_page_goes_on(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    with waiting(site) as changing:
        with changing.server.capture_signals():
            signal.raise_signal(signal.SIGINT)
        assert "An update is under way: Add the tenant shop." in capfd.readouterr().err
        assert changing.change.is_active and site.browser().get("/")
        with pytest.raises(UserError, match="no change begins"):
            site.page.changes.start(site.page.context, changing.change.task)
    changing.server.tell_results()  # the page has ended, so no browser says it
    assert capfd.readouterr().err == "Add the tenant shop: done\n"


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_a_second_interrupt_or_a_termination_interrupts_the_engine(
    site: Site, numbers: tuple[int, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    started = threading.Event()

    def work(context: Any) -> None:
        engine = context.engines.start(["sleep", "60"])
        started.set()
        assert engine.wait(60) == -signal.SIGINT
        raise UserError("interrupted")

    changing = Changing(site, work)
    assert started.wait(60)
    with changing.server.capture_signals():
        for number in numbers:
            signal.raise_signal(number)
    changing.change.wait(60)
    assert changing.change.state == "interrupted"
    said = capfd.readouterr().err.splitlines()
    assert len(said) == len(numbers) if len(numbers) > 1 else said == []
    assert all("Press Ctrl-C again to " in line for line in said)
    changing.server.tell_results()
    told = ["Add the tenant shop: interrupted: interrupted"] if len(numbers) > 1 else []
    assert capfd.readouterr().err.splitlines() == told


def test_a_second_interrupt_says_that_a_change_without_an_engine_ends_by_itself(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    """Such as a purge, which works on S3 alone."""
    with waiting(site) as changing:
        with changing.server.capture_signals():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        said = capfd.readouterr().err
        assert "No engine is running, so nothing is interrupted" in said and "The update is interrupted" not in said


def test_an_interrupt_while_a_question_waits_changes_nothing(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    changing = Changing(site, lambda context: context.terminal.confirm("Delete the older data?"))
    eventually(lambda: changing.change.is_waiting, 60)
    with changing.server.capture_signals():
        signal.raise_signal(signal.SIGINT)
    changing.change.wait(60)
    assert changing.change.state == "not confirmed" and "under way" not in capfd.readouterr().err


LEFT = """
import atexit
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from scripts.web.server import leave
ThreadPoolExecutor().submit(Event().wait)
atexit.register(print, "files with keys are removed")
leave()
"""


def test_what_is_registered_for_the_end_runs_beside_a_read_that_hangs() -> None:
    """The client of Kubernetes keeps keys in temporary files until then."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{LEFT}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "files with keys are removed\n"
