"""How fast the page of `ui` starts, ends and lists 1,000 tenants: `.venv/bin/python -m bench.page`, after `make setup`.

The tenants stand in the instance's file, or in files of their own stacks.

- A start is that of a user: from `./opstrace ui PROVIDER INSTANCE` until it has printed the URL, with both providers, and with
  a key. AWS does not answer, and the embedded cloud was killed, which the page only learns after its start.
- An end is from Ctrl-C until the command has ended.
- A list is the whole answer to a browser. States and pods are recorded answers, so no cloud runs. Meanwhile, a browser follows
  the page, which reads pods and rows again, as it does for a user. `bench.page_states` has real states.
"""

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.figure import Figure, finish
from bench.stack_files import forget_files
from scripts.stackfile.file import ROOT, STACKS, StackFile
from scripts.tokens.key_files import write_secret
from tests.support.factories import PAIR, settings

TITLE = "The tenants page"
STARTED = "benchpage"  # the instance of the command, whose files stand in the checkout's folder
LISTED = "showdown"  # that of `tests.support.page`
TENANTS = [f"tenant{number}" for number in range(1000)]
OTHERS = ("default", "system")
SETTINGS = {"owner": "team web", "retention": {"metrics": "30d"}}
# Nothing listens there, so no request leaves this machine.
AWS = {"region": "us-west-2", "endpoints": {"sts": "http://127.0.0.1:1"}}
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
MOST_START, MOST_END, MOST_LIST = 2.0, 2.0, 1.0  # seconds
STARTS = 5  # of which the median counts
ANSWERS, PAUSE = 12, 1.0  # the answers take longer than two rounds of the page, so some come during a round
SECONDS = 300  # for states and pods, at most


def _write(instance: str, folder: Path, *, own_stacks: bool) -> None:
    """Write the stack files of all tenants."""
    entries = [] if own_stacks else [{"name": tenant, **SETTINGS} for tenant in TENANTS]
    file = StackFile(instance, folder)
    for name, value in settings(tenants=[{"name": "default"}, *entries], aws=AWS).items():
        file.set(name, value)
    file.write()
    for tenant in TENANTS if own_stacks else []:
        _write_own(instance, folder, tenant, "team web")


def _write_own(instance: str, folder: Path, tenant: str, owner: str) -> None:
    file = StackFile(f"{instance}.{tenant}", folder)
    for name, value in {"tenantOf": instance, "name": tenant, "tenant": SETTINGS | {"owner": owner}}.items():
        file.set(name, value)
    file.write()


def _change(instance: str, folder: Path, tenant: str, owner: str, *, own_stacks: bool) -> None:
    """Change the owner of a tenant in its stack file."""
    if own_stacks:
        _write_own(instance, folder, tenant, owner)
        return
    file = StackFile(instance, folder)
    entries = file.entry("tenants")
    next(entry for entry in entries if entry["name"] == tenant)["owner"] = owner
    file.write()


class Browser:
    """A browser with a session, which follows the page."""

    def __init__(self, url: str) -> None:
        self._site = url.partition("/login")[0]
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._opener.open(url).read()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        """Read the stream of events, while which the page reads in rounds."""
        try:
            for _ in self._opener.open(f"{self._site}/events"):
                pass
        except OSError:  # the page has ended
            return

    def text(self, path: str) -> str:
        """Return an answer."""
        return str(self._opener.open(f"{self._site}{path}").read().decode())

    def seconds(self, path: str, expected: str) -> float:
        """Return how long the whole list takes, in which must be the `expected` text."""
        began = time.monotonic()
        text = self.text(path)
        took = time.monotonic() - began
        rows = text.count('<tr id="tenant-')
        if expected not in text or rows != len(TENANTS) + len(OTHERS):
            sys.exit(f"{path} has {rows} rows, and {text.count(expected)} times {expected!r}: {text[:2000]}")
        return took

    def wait_for_states(self) -> None:
        """Wait until the list has the states of all tenants."""
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            if self.text("/rows").count(">ready<") == len(TENANTS) + len(OTHERS):
                return
            time.sleep(1)
        sys.exit(f"the list has not all states after {SECONDS} s")


@contextmanager
def started_page(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """Yield a page's process, its URL, and the seconds until it was printed."""
    began = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        try:
            said: list[str] = []
            for line in process.stderr or ():
                said.append(line)
                if found := re.search(r"http://\S+/login\S+", line):
                    break
            else:
                sys.exit(f"{' '.join(command)} prints no URL: {''.join(said)}")
            yield process, found[0], time.monotonic() - began
        finally:
            process.terminate()  # it removes its files


def _commands(where: str, *, own_stacks: bool) -> Iterator[Figure]:
    """Start and end the command of a user, in each way."""
    forget_files(STARTED)  # files of a run that was killed
    try:
        _write(STARTED, STACKS, own_stacks=own_stacks)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            key = folder / "key.pem"
            write_secret(key, PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            yield from _starts(f"aws, {where}", "aws", os.environ | KEYS)
            yield from _starts(f"aws with --key, {where}", "aws", os.environ | KEYS, "--key", str(key))
            killed = os.environ | {"XDG_STATE_HOME": name, "OPSTRACE_LOCAL_SLOT": "0"}
            record = folder / "opstrace" / "local" / "pid"
            record.parent.mkdir(parents=True)
            record.touch()
            yield from _starts(f"local, {where}", "local", killed)
    finally:
        forget_files(STARTED)


def _starts(what: str, provider: str, environment: Mapping[str, str], *options: str) -> Iterator[Figure]:
    """Start and end the command of a user some times."""
    command = [str(ROOT / "opstrace"), "ui", provider, STARTED, "--no-browser", *options]
    starts, ends = [], []
    for _ in range(STARTS):
        with started_page(command, environment) as (process, url, seconds):
            starts.append(seconds)
            Browser(url)  # it follows, so the page reads meanwhile
            time.sleep(PAUSE)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            if status := process.wait():
                sys.exit(f"{' '.join(command)} ends with {status}")
            ends.append(time.monotonic() - began)
    yield Figure(f"start, {what}", statistics.median(starts), "s", most=MOST_START)
    yield Figure(f"slowest start, {what}", max(starts), "s")
    yield Figure(f"end by Ctrl-C, {what}", statistics.median(ends), "s", most=MOST_END)


def _lists(where: str, *, own_stacks: bool) -> Iterator[Figure]:
    """List the tenants, before and after their states are known."""
    command = [sys.executable, "-P", "-m", "tests.support.page"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(LISTED, folder, own_stacks=own_stacks)
        with started_page([*command, name, "--applied"], os.environ) as (_, url, _):
            browser = Browser(url)
            first = browser.seconds("/", TENANTS[-1])
            browser.wait_for_states()
            answers = []
            for _ in range(ANSWERS):
                time.sleep(PAUSE)
                answers.append(browser.seconds("/", ">ready<"))
            _change(LISTED, folder, TENANTS[0], "Ann", own_stacks=own_stacks)
            changed = browser.seconds("/rows", "Ann")
    yield Figure(f"first list, without states, {where}", first, "s", most=MOST_LIST)
    yield Figure(f"list, {where}", statistics.median(answers), "s", most=MOST_LIST)
    yield Figure(f"slowest of {ANSWERS} lists, {where}", max(answers), "s", most=MOST_LIST)
    yield Figure(f"list after a change of one tenant, {where}", changed, "s", most=MOST_LIST)


def measure() -> list[Figure]:
    """Measure both ways to keep tenants."""
    figures = []
    for own_stacks in (False, True):
        where = f"{len(TENANTS):,} tenants " + ("with stacks of their own" if own_stacks else "in the instance's stack")
        figures += [*_commands(where, own_stacks=own_stacks), *_lists(where, own_stacks=own_stacks)]
    return figures


if __name__ == "__main__":
    finish(TITLE, measure())
