"""The programs of the embedded cloud, kept running by the one process that they end with."""

import os
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from localcloud.files import write_whole
from localcloud.settings import Settings

Check = Callable[[], bool]
START_SECONDS = 120
RESTART_SECONDS = 1.0


class StartError(Exception):
    """A service did not come up; the text is shown to the user."""


@dataclass(frozen=True)
class Service:
    """A program that runs as long as its supervisor does. `on_host_network`: it serves this machine's loopback."""

    name: str
    command: list[str]
    ready: Check = lambda: True
    environment: Mapping[str, str] = field(default_factory=dict)
    on_host_network: bool = False


def answers(url: str, context: ssl.SSLContext | None = None) -> Check:
    """Return a check that `url` answers 200."""

    def check() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return check


def say(text: str) -> None:
    """Write one line with the time to the supervisor's log."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def wait(what: str, check: Check, seconds: float = START_SECONDS) -> None:
    """Wait until `check` says yes; raises `StartError` if it never does."""
    started = time.monotonic()
    while not check():
        if time.monotonic() - started > seconds:
            raise StartError(f"{what} was not ready after {seconds:.0f} s")
        time.sleep(0.1)
    say(f"{what} is ready after {time.monotonic() - started:.1f} s")


class Supervisor:
    """Keeps every service running; one that ends is started again, and what was said of it is in its log.

    `host_network` is the file descriptor of this machine's network namespace, where this process is in another.
    """

    def __init__(self, settings: Settings, host_network: int | None = None) -> None:
        self._settings = settings
        self._host_network = host_network
        # The processes too: one that nobody holds is waited for by the next Popen, and its end is lost.
        self._running: dict[int, tuple[Service, subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()

    def start(self, service: Service) -> None:
        """Start `service`, with its output in `logs/<name>.log`. The main thread alone may call this."""
        # However the supervisor ends, the kernel ends the service with the thread that started it.
        command = ["setpriv", "--pdeathsig", "KILL", *service.command]
        passed = [self._host_network] if service.on_host_network and self._host_network is not None else []
        if passed:
            command = ["nsenter", f"--net=/proc/self/fd/{self._host_network}", *command]
        with (self._settings.logs / f"{service.name}.log").open("ab") as output, self._lock:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(service.environment),
                pass_fds=passed,
            )
            self._running[process.pid] = (service, process)

    def serve(self, begin: Callable[["Supervisor"], None]) -> NoReturn:
        """Bring the services up by `begin`, say so in `node/ready` (or why not in `node/failed`), and stay until killed."""
        try:
            begin(self)
        except Exception as error:
            write_whole(self._settings.node / "failed", f"{error}")
            raise
        write_whole(self._settings.node / "ready", "")
        self._reap()

    def _reap(self) -> NoReturn:
        """Wait for processes that end, for ever: services are started again, orphans only taken note of."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid = 0
            if pid == 0:
                time.sleep(0.05)
                continue
            with self._lock:
                found = self._running.pop(pid, None)
            if found:
                service = found[0]
                say(f"{service.name} ended with {os.waitstatus_to_exitcode(status)}; starting it again")
                time.sleep(RESTART_SECONDS)
                self.start(service)
