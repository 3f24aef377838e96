"""Serving a page: its socket, its URL, the user's browser, and the end by Ctrl-C."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import socket
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from components.core.errors import UserError
from scripts.web import browser
from scripts.web.app import application
from scripts.web.page import Page
from scripts.web.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import NoReturn

    from components.config.stack import StackConfig
    from scripts.context.context import Context
    from scripts.tokens.signing import Signer
    from scripts.web.changes.change import Change
    from scripts.web.guard import Guard

LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 1  # for answers that are under way when the page ends
UNDER_WAY = (
    "An update is under way: {titles}. The page ends after it. Press Ctrl-C again to interrupt its engine; "
    "a later command completes the update."
)
INTERRUPTED = (
    "The update is interrupted. Its engine completes the requests that are under way, then the page ends. Press Ctrl-C "
    "again to end the engine at once."
)
WITHOUT_ENGINE = "No engine is running, so nothing is interrupted, and none starts. The page ends after the update."
CHECKING = "The checks end first, because they delete their pods. They take up to 20 seconds."


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a page is served.

    Attributes:
        port: Its port on 127.0.0.1, 0 for any free one.
        read_only: Whether it changes nothing.
        open_browser: Whether it opens the user's browser.
        signer: Signs the tokens of queries; None without a key.
    """

    port: int = 0
    read_only: bool = False
    open_browser: bool = True
    signer: Signer | None = None


class Server(uvicorn.Server):
    """Serves a page until Ctrl-C. During an update, the first Ctrl-C says so, and the second interrupts the update.

    It asks no question on the terminal, because it may have none. A second Ctrl-C is the answer that engines take too.
    """

    def __init__(self, app: Guard, page: Page) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="off",
                ws="none",
                http="h11",
                loop="asyncio",
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._page = page
        self._outlasting: list[Change] = []  # the updates that were under way at the first Ctrl-C
        self._has_interrupted = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Heed signals while the block runs. Those that the caller ignores, as nohup does, stay ignored."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._interrupted) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupted(self, number: int, _: FrameType | None) -> None:
        changes, note = self._page.changes, self._page.context.terminal.note
        if number != signal.SIGINT:
            changes.close()
            changes.interrupt()
        elif changes.is_closed:
            has_engine = changes.interrupt()
            if changes.active() and not self._has_interrupted:
                note(INTERRUPTED if has_engine else WITHOUT_ENGINE)
            self._has_interrupted = True
        elif working := changes.close():
            self._outlasting = working
            note(UNDER_WAY.format(titles=", ".join(change.task.title for change in working)))

    def tell_results(self) -> None:
        """Say how the updates ended that Ctrl-C found under way: browsers no longer can."""
        for change in self._outlasting:
            self._page.context.terminal.note(": ".join(filter(None, (change.task.title, change.state, change.error))))

    async def on_tick(self, counter: int) -> bool:
        """Tell whether the server ends: after an interrupt, once no change is under way."""
        changes = self._page.changes
        if changes.is_closed and not changes.close() and not changes.active():  # a change may have asked since
            self._page.is_ending = self.should_exit = True
        return await super().on_tick(counter)


def serve(context: Context, provider_name: str, instance: str, options: Options) -> None:
    """Serve a page about an instance until Ctrl-C.

    The URL is shown first. The embedded cloud takes a second to import, so a thread does that when it first asks.
    Raises `UserError` where the instance has no valid stack file, where it does not trust the key, where its provider is
    missing, or where the port is in use.
    """
    with tempfile.TemporaryDirectory(prefix="opstrace-ui-") as folder, _listening(options.port) as listener:
        port = listener.getsockname()[1]
        page = Page(context, provider_name, instance, Path(folder), read_only=options.read_only, signer=options.signer)
        _require_trusted(options.signer, page.subject.config(), instance)
        context.require_provider(provider_name)
        gc.enable()  # unlike other commands, this one runs for hours; before, it reads files faster without
        sessions = Sessions()
        link = Link(page, sessions, port)
        server = Server(application(page, sessions, port, link.show_next), page)
        try:
            link.show(open_browser=options.open_browser)
            page.tenants.start()
            page.figures.start()
            page.stored.start()
            server.run(sockets=[listener])
        finally:
            page.tenants.stop()
            page.figures.stop()
            page.stored.stop()
            link.remove()
            for change in page.changes.all():
                change.wait()
            server.tell_results()
            if page.checks.locked():
                context.terminal.note(CHECKING)
            page.checks.acquire()  # none begins any more


def leave() -> NoReturn:
    """End this process. Python's own end would wait for threads whose requests hang, and they only read.

    What is registered for the end runs: the client of Kubernetes has keys in temporary files until then.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _require_trusted(signer: Signer | None, config: StackConfig, instance: str) -> None:
    """Raise `UserError` where the instance does not trust the key that signs the tokens of queries."""
    if signer and config.data_api.authentication and signer.kid not in config.data_api.public_keys:
        raise UserError(
            f"--key: {instance} does not trust the key {signer.kid}, but {', '.join(sorted(config.data_api.public_keys)) or 'none'}; "
            "name the file of one of them, or add the key with `./opstrace ta-pubkeys-add`"
        )


class Link:
    """The URL with the token that begins the next session, shown in the terminal and to the browser."""

    def __init__(self, page: Page, sessions: Sessions, port: int) -> None:
        self._note, self._sessions, self._port = page.context.terminal.note, sessions, port
        self._instance, self._read_only = page.instance, page.read_only
        self._file: Path | None = None

    def _url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}/login?token={self._sessions.token}"

    def show(self, *, open_browser: bool) -> None:
        """Show the first URL, and open the browser with it where there is a screen."""
        self._note(f"The tenants of {self._instance}{', read-only' if self._read_only else ''}: {self._url()}")
        self._note("Press Ctrl-C to end the page.")
        if open_browser and browser.has_screen():
            self._file = browser.write_redirect(self._url())
            browser.show(self._file)

    def show_next(self) -> None:
        """Show the URL for another browser, after one was used."""
        self.remove()
        self._note(f"A browser has opened the page. For another one: {self._url()}")

    def remove(self) -> None:
        """Remove the file that led the browser here."""
        if self._file:
            self._file.unlink(missing_ok=True)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Listen on a port of loopback, 0 for any free one; raises `UserError` where it is in use."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen()  # before the URL is shown: a browser may come before the server takes connections
        except OSError as error:
            raise UserError(f"port {port}: {error.strerror}; choose another by --port, or leave it out") from error
        yield listener
