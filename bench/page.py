"""How fast the page of `ui` starts, and lists 1,000 tenants: `.venv/bin/python -m bench.page`, after `make setup`.

The tenants stand in the instance's file, or in files of their own stacks. States and pods are recorded answers, so no cloud
runs. A list is the whole answer to a browser, in a process of its own that also reads states and pods meanwhile.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

from bench.figure import Figure, finish
from scripts.stackfile.file import ROOT, StackFile
from tests.support.factories import settings

TITLE = "The tenants page"
INSTANCE = "showdown"
TENANTS = [f"tenant{number}" for number in range(1000)]
SETTINGS = {"owner": "team web", "retention": {"metrics": "30d"}}
MOST_START, MOST_LIST = 2.0, 1.0  # seconds
ANSWERS = 5  # of which the median counts
SECONDS = 300  # for states and pods, at most


def _write(folder: Path, *, own_stacks: bool) -> None:
    """Write the stack files of all tenants."""
    entries = [] if own_stacks else [{"name": tenant, **SETTINGS} for tenant in TENANTS]
    file = StackFile(INSTANCE, folder)
    for name, value in settings(tenants=[{"name": "default"}, *entries]).items():
        file.set(name, value)
    file.write()
    for tenant in TENANTS if own_stacks else []:
        _write_own(folder, tenant, "team web")


def _write_own(folder: Path, tenant: str, owner: str) -> None:
    file = StackFile(f"{INSTANCE}.{tenant}", folder)
    for name, value in {"tenantOf": INSTANCE, "name": tenant, "tenant": SETTINGS | {"owner": owner}}.items():
        file.set(name, value)
    file.write()


class Browser:
    """A browser with a session; `started` is how long the page took until it showed its URL, in seconds."""

    def __init__(self, url: str, started: float) -> None:
        self.started = started
        self._site = url.partition("/login")[0]
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._opener.open(url).read()

    def seconds(self, path: str, expected: str) -> float:
        """Return how long an answer takes, which must have the `expected` text."""
        began = time.monotonic()
        text = self._opener.open(f"{self._site}{path}").read().decode()
        took = time.monotonic() - began
        if expected not in text:
            sys.exit(f"{path} has no {expected!r}: {text[:2000]}")
        return took

    def wait_for_states(self) -> None:
        """Wait until the list has the states of all tenants."""
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            if self._opener.open(f"{self._site}/rows").read().decode().count(">ready<") == len(TENANTS) + 2:
                return
            time.sleep(1)
        sys.exit(f"the list has not all states after {SECONDS} s")


@contextmanager
def _page(folder: Path) -> Iterator[Browser]:
    command = [sys.executable, "-P", "-m", "tests.support.page", str(folder), "--applied"]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = next(line for line in process.stderr or () if "http://" in line)
            yield Browser(re.findall(r"http://\S+", line)[0], time.monotonic() - began)
        finally:
            process.terminate()  # it removes its files


def measure() -> list[Figure]:
    """Measure both ways to keep tenants."""
    return [figure for own in (False, True) for figure in _measured(own_stacks=own)]


def _measured(*, own_stacks: bool) -> list[Figure]:
    where = f"{len(TENANTS)} tenants " + ("with stacks of their own" if own_stacks else "in the instance's stack")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, own_stacks=own_stacks)
        with _page(folder) as browser:
            first = browser.seconds("/", TENANTS[-1])
            browser.wait_for_states()
            answers = [browser.seconds("/", "team web") for _ in range(ANSWERS)]
            figures = [
                Figure(f"start, {where}", browser.started, "s", most=MOST_START),
                Figure(f"first list, {where}", first, "s"),
                Figure(f"list, {where}", statistics.median(answers), "s", most=MOST_LIST),
            ]
            if own_stacks:
                _write_own(folder, TENANTS[0], "Ann")
                changed = browser.seconds("/rows", "Ann")
                figures.append(Figure(f"list after a change of one file, {where}", changed, "s", most=MOST_LIST))
            return figures


if __name__ == "__main__":
    finish(TITLE, measure())
