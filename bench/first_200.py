"""Time until a tenant answers 200: `.venv/bin/python -m bench.first_200`, as root, with the tools cached.

Creates its own embedded cloud (slot 5) and instance, measures, and removes both. What takes little time is repeated;
every other figure comes from one run of the command.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from bench.figure import Figure, finish
from localcloud.supervisor import until
from scripts.clients.gateway.probe import status_of
from scripts.stackfile.file import ROOT, StackFile

INSTANCE, SLOT = "bench", "5"
PORT = 8443 + int(SLOT)
TITLE = "Time to the first 200"
CREATE, ADD = "`create` to the first 200, tools cached", "a tenant added by `pulumi up`, to its first 200"
TOKEN, TOKENS = "`ta-create-token`", "`ta-create-token`, 1,000 at once"
UNCHANGED = "`pulumi up` without changes, 3 tenants"
TARGETS = {CREATE: 28.0, ADD: 11.0, UNCHANGED: 3.0, TOKEN: 0.4, TOKENS: 5.0}  # seconds, at most
REPEATS = 5  # of what takes little time: the figure is their median
ANSWER_SECONDS = 120


def _timed(work: Callable[[], object], repeats: int = 1) -> float:
    """Return the seconds that `work` takes, the median of all repeats."""

    def once() -> float:
        started = time.monotonic()
        work()
        return time.monotonic() - started

    return statistics.median(once() for _ in range(repeats))


class Bench:
    """A user with a separate folder and a separate embedded cloud."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shell = dict(os.environ) | {"XDG_STATE_HOME": str(folder / "state"), "OPSTRACE_LOCAL_SLOT": SLOT}

    def opstrace(self, *arguments: str, into: Path | None = None) -> None:
        """Run the command with these arguments; write its output to the file `into`, if any."""
        out = into.open("w") if into else subprocess.DEVNULL
        subprocess.run([str(ROOT / "opstrace"), *arguments], cwd=self._folder, env=self._shell, check=True, stdout=out)

    def enter(self) -> None:
        """Set the variables that `opstrace env` prints, like `eval` in a shell."""
        command = f'eval "$({ROOT}/opstrace env local)"; env -0'
        result = subprocess.run(["sh", "-c", command], env=self._shell, check=True, capture_output=True, text=True)
        self._shell = dict(line.split("=", 1) for line in result.stdout.split("\0") if "=" in line)

    def pulumi_up(self) -> None:
        """Update the instance."""
        command = ["pulumi", "--non-interactive", "up", "--yes", "--stack", INSTANCE]
        subprocess.run(command, cwd=ROOT, env=self._shell, check=True, stdout=subprocess.DEVNULL)

    def add_tenant(self, name: str) -> None:
        """Add a tenant to the stack file."""
        file = StackFile(INSTANCE)
        file.entry("tenants").append({"name": name})
        file.write()

    def await_200(self, tenant: str, token: Path) -> None:
        """Wait until the tenant answers 200; exits after `ANSWER_SECONDS`."""
        url = f"https://cortex.{tenant}.{INSTANCE}.opstrace.localhost:{PORT}/api/v1/labels"
        ca = self._folder / "state" / "opstrace" / f"local-{SLOT}" / "pki" / "ca.pem"
        if not until(lambda: status_of(url, ca, token.read_text()) == HTTPStatus.OK, ANSWER_SECONDS):
            sys.exit(f"{url} did not answer 200 in {ANSWER_SECONDS} s")

    def create(self) -> float:
        """Create the instance with one tenant; return the seconds until that answers 200."""

        def create() -> None:
            self.opstrace("create", "local", INSTANCE, "--tenant", "one")
            self.await_200("one", self._folder / "tenant-api-token-one")

        return _timed(create)

    def measure(self) -> dict[str, float]:
        """Return the seconds of each step in `TARGETS`."""
        seconds_of = {CREATE: self.create()}
        self.enter()
        pair, token = self._folder / "pair.pem", self._folder / "token"
        self.opstrace("ta-create-keypair", str(pair))
        create_token = ("ta-create-token", INSTANCE, "two", str(pair))
        seconds_of[TOKEN] = _timed(lambda: self.opstrace(*create_token, into=token), REPEATS)
        many = ["--count", "1000", "--out-dir", str(self._folder / "many")]
        seconds_of[TOKENS] = _timed(lambda: self.opstrace(*create_token, *many))
        self.opstrace("ta-pubkeys-add", "local", INSTANCE, str(pair))
        self.add_tenant("two")

        def add() -> None:
            self.pulumi_up()
            self.await_200("two", token)

        seconds_of[ADD] = _timed(add)
        self.add_tenant("three")
        self.pulumi_up()
        seconds_of[UNCHANGED] = _timed(self.pulumi_up, REPEATS)
        return seconds_of

    def leave(self) -> None:
        """Remove instance and embedded cloud, also after an error."""
        if StackFile(INSTANCE).exists():
            self.opstrace("destroy", "local", INSTANCE, "--purge", "--yes")
        self.opstrace("local", "down")


def measure() -> list[Figure]:
    """Return the seconds of each step in `TARGETS`."""
    if StackFile(INSTANCE).exists():
        sys.exit(f"stacks/{StackFile(INSTANCE).path.name} already exists: a killed bench left it; remove it")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            seconds_of = bench.measure()
        finally:
            bench.leave()
    return [Figure(step, seconds_of[step], "s", most=most) for step, most in TARGETS.items()]


if __name__ == "__main__":
    finish(TITLE, measure())
