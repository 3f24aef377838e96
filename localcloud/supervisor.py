"""The programs of the embedded cloud. One process keeps them running, and they end with it.

Several short-lived processes import this module. tenacity adds 7 ms to the 50 ms that each needs to import.
"""

import operator
import os
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NoReturn

import tenacity

from localcloud.files import write_whole
from localcloud.settings import Settings

Check = Callable[[], bool]
START_SECONDS = 120
RESTART_SECONDS = 1.0


class StartError(Exception):
    """A service did not start; the user sees the text."""


@dataclass(frozen=True)
class Service:
    """A program that runs as long as its supervisor, or until it succeeds if it `ends`.

    With `on_host_network` it has this machine's network: it serves its loopback, and reaches what this machine reaches.
    """

    name: str
    command: list[str]
    ready: Check = lambda: True
    environment: Mapping[str, str] = field(default_factory=dict)
    on_host_network: bool = False
    ends: bool = False


def answers(url: str, context: ssl.SSLContext | None = None) -> Check:
    """Return a check whether `url` answers 200."""

    def check() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except (urllib.error.URLError, OSError):
            return False

    return check


def say(text: str) -> None:
    """Write one line with the time to the supervisor's log."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def until(check: Check, seconds: float, interval: float = 0.1) -> bool:
    """Call `check` every `interval` seconds until it is true; return False after `seconds`."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(operator.not_),
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(interval),
        retry_error_callback=lambda _: False,
    )
    return bool(retrying(check))


def wait(name: str, check: Check, seconds: float = START_SECONDS) -> None:
    """Wait until `check` is true, and log how long that took; raises `StartError` after `seconds`."""
    started = time.monotonic()
    if not until(check, seconds):
        raise StartError(f"{name} was not ready after {seconds:.0f} s")
    say(f"{name} is ready after {time.monotonic() - started:.1f} s")


class Supervisor:
    """Keeps every service running: starts it again when it ends, and appends its output to its log.

    `host_network` is the file descriptor of this machine's network namespace, if this process is in another one.
    """

    def __init__(self, settings: Settings, host_network: int | None = None) -> None:
        self._settings = settings
        self._host_network = host_network
        # Keeps a reference to each process: the next Popen would reap an unreferenced process, and hide its end.
        self._running: dict[int, tuple[Service, subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()

    def start(self, service: Service) -> None:
        """Start `service`, with its output in `logs/<name>.log`. Only the main thread may call this."""
        # The kernel kills the service when the thread that started it ends, however the supervisor ends.
        command = ["setpriv", "--pdeathsig", "KILL", *service.command]
        descriptors = [self._host_network] if service.on_host_network and self._host_network is not None else []
        if descriptors:
            command = ["nsenter", f"--net=/proc/self/fd/{self._host_network}", *command]
        with (self._settings.logs / f"{service.name}.log").open("ab") as output, self._lock:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(service.environment),
                pass_fds=descriptors,
            )
            self._running[process.pid] = (service, process)

    def serve(self, begin: Callable[["Supervisor"], None]) -> NoReturn:
        """Start the services by `begin`, then run until killed. Writes `node/ready`, or the error to `node/failed`."""
        try:
            begin(self)
        except Exception as error:
            write_whole(self._settings.node / "failed", f"{error}")
            raise
        write_whole(self._settings.node / "ready", "")
        self._reap()

    def _reap(self) -> NoReturn:
        """Reap ended processes until this process ends: start services again, and ignore orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid = 0
            if pid == 0:
                time.sleep(0.05)
                continue
            with self._lock:
                entry = self._running.pop(pid, None)
            if entry:
                service, code = entry[0], os.waitstatus_to_exitcode(status)
                if service.ends and code == 0:
                    say(f"{service.name} is done")
                    continue
                say(f"{service.name} ended with {code}; starting it again")
                time.sleep(RESTART_SECONDS)
                self.start(service)
