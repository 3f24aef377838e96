"""How long until a tenant answers 200: `.venv/bin/python -m bench.first_200`, as root, with the tools cached.

Makes an embedded cloud and an instance of its own beside the user's (slot 5), measures,
and takes all of it away again. Every figure is of one run of the real command.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.machine import machine
from scripts.probe import status_of
from scripts.stackfile import ROOT, StackFile

INSTANCE, SLOT = "bench", "5"
PORT = 8443 + int(SLOT)
LIMITS = {
    "create, tools cached, to the first 200": 90.0,
    "pulumi up that adds a tenant, to its first 200": 45.0,
    "ta-create-token": 0.4,
    "ta-create-token, 1,000 at once": 5.0,
    "pulumi up without changes, three tenants": 10.0,
}
ANSWER_SECONDS = 120


def _timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


class Bench:
    """A user in a folder of their own, with an embedded cloud of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shell = dict(os.environ) | {"XDG_STATE_HOME": str(folder / "state"), "OPSTRACE_LOCAL_SLOT": SLOT}

    def opstrace(self, *arguments: str, into: Path | None = None) -> None:
        out = into.open("w") if into else subprocess.DEVNULL
        subprocess.run([str(ROOT / "opstrace"), *arguments], cwd=self._folder, env=self._shell, check=True, stdout=out)

    def enter(self) -> None:
        """Take over what `opstrace env` prints, as `eval` does."""
        command = f'eval "$({ROOT}/opstrace env local)"; env -0'
        done = subprocess.run(["sh", "-c", command], env=self._shell, check=True, capture_output=True, text=True)
        self._shell = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)

    def pulumi_up(self) -> None:
        command = ["pulumi", "--non-interactive", "up", "--yes", "--stack", INSTANCE]
        subprocess.run(command, cwd=ROOT, env=self._shell, check=True, stdout=subprocess.DEVNULL)

    def add_tenant(self, name: str) -> None:
        file = StackFile(INSTANCE)
        file.entry("tenants").append({"name": name})
        file.write()

    def await_200(self, tenant: str, token: Path) -> None:
        url = f"https://cortex.{tenant}.{INSTANCE}.opstrace.localhost:{PORT}/api/v1/labels"
        ca = self._folder / "state" / "opstrace" / f"local-{SLOT}" / "pki" / "ca.pem"
        deadline = time.monotonic() + ANSWER_SECONDS
        while status_of(url, ca, token.read_text()) != 200:
            if time.monotonic() > deadline:
                sys.exit(f"{url} did not answer 200 in {ANSWER_SECONDS} s")
            time.sleep(0.1)

    def measure(self) -> dict[str, float]:
        found: dict[str, float] = {}

        def create() -> None:
            self.opstrace("create", "local", INSTANCE, "--tenant", "one")
            self.await_200("one", self._folder / "tenant-api-token-one")

        found["create, tools cached, to the first 200"] = _timed(create)
        self.enter()
        pair, token = self._folder / "pair.pem", self._folder / "token"
        self.opstrace("ta-create-keypair", str(pair))
        seconds = [
            _timed(lambda: self.opstrace("ta-create-token", INSTANCE, "two", str(pair), into=token)) for _ in range(5)
        ]
        found["ta-create-token"] = sorted(seconds)[2]
        many = ["--count", "1000", "--out-dir", str(self._folder / "many")]
        found["ta-create-token, 1,000 at once"] = _timed(
            lambda: self.opstrace("ta-create-token", INSTANCE, "two", str(pair), *many)
        )
        self.opstrace("ta-pubkeys-add", "local", INSTANCE, str(pair))
        self.add_tenant("two")

        def add() -> None:
            self.pulumi_up()
            self.await_200("two", token)

        found["pulumi up that adds a tenant, to its first 200"] = _timed(add)
        self.add_tenant("three")
        self.pulumi_up()
        found["pulumi up without changes, three tenants"] = _timed(self.pulumi_up)
        return found

    def leave(self) -> None:
        """Take everything away again, however far it came."""
        if StackFile(INSTANCE).exists():
            self.opstrace("destroy", "local", INSTANCE, "--purge", "--yes")
        self.opstrace("local", "down")


def main() -> None:
    """Measure and print."""
    if StackFile(INSTANCE).exists():
        sys.exit(f"stacks/{StackFile(INSTANCE).path.name} is there already; a bench that was killed left it: remove it")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            found = bench.measure()
        finally:
            bench.leave()
    table = Table(title=f"To the first 200, on {machine()}", title_justify="left")
    for column in ("what", "seconds", "limit", "of the limit"):
        table.add_column(column)
    for what, limit in LIMITS.items():
        table.add_row(what, f"{found[what]:.2f}", f"{limit:g}", f"{found[what] / limit:.0%}")
    Console(width=110).print(table)
    missed = [what for what, limit in LIMITS.items() if found[what] > limit]
    if missed:
        sys.exit(f"took longer than it may: {', '.join(missed)}")


if __name__ == "__main__":
    main()
