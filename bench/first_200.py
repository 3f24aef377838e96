"""Time until a tenant answers 200: `.venv/bin/python -m bench.first_200`, as root, with the tools cached.

Creates its own embedded cloud (slot 5) and instance, measures, and removes both. Each figure comes from one run of the
command.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.machine import machine
from localcloud.supervisor import until
from scripts.clients.gateway.probe import status_of
from scripts.stackfile.file import ROOT, StackFile

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

    def measure(self) -> dict[str, float]:
        """Return the seconds of each step in `LIMITS`."""
        seconds_of: dict[str, float] = {}

        def create() -> None:
            self.opstrace("create", "local", INSTANCE, "--tenant", "one")
            self.await_200("one", self._folder / "tenant-api-token-one")

        seconds_of["create, tools cached, to the first 200"] = _timed(create)
        self.enter()
        pair, token = self._folder / "pair.pem", self._folder / "token"
        self.opstrace("ta-create-keypair", str(pair))
        seconds = [
            _timed(lambda: self.opstrace("ta-create-token", INSTANCE, "two", str(pair), into=token)) for _ in range(5)
        ]
        seconds_of["ta-create-token"] = sorted(seconds)[2]
        many = ["--count", "1000", "--out-dir", str(self._folder / "many")]
        seconds_of["ta-create-token, 1,000 at once"] = _timed(
            lambda: self.opstrace("ta-create-token", INSTANCE, "two", str(pair), *many)
        )
        self.opstrace("ta-pubkeys-add", "local", INSTANCE, str(pair))
        self.add_tenant("two")

        def add() -> None:
            self.pulumi_up()
            self.await_200("two", token)

        seconds_of["pulumi up that adds a tenant, to its first 200"] = _timed(add)
        self.add_tenant("three")
        self.pulumi_up()
        seconds_of["pulumi up without changes, three tenants"] = _timed(self.pulumi_up)
        return seconds_of

    def leave(self) -> None:
        """Remove instance and embedded cloud, also after an error."""
        if StackFile(INSTANCE).exists():
            self.opstrace("destroy", "local", INSTANCE, "--purge", "--yes")
        self.opstrace("local", "down")


def main() -> None:
    """Measure, print the table, and exit with an error where a limit is missed."""
    if StackFile(INSTANCE).exists():
        sys.exit(f"stacks/{StackFile(INSTANCE).path.name} already exists: a killed bench left it; remove it")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            seconds_of = bench.measure()
        finally:
            bench.leave()
    table = Table(title=f"To the first 200, on {machine()}", title_justify="left")
    for column in ("what", "seconds", "limit", "of the limit"):
        table.add_column(column)
    for step, limit in LIMITS.items():
        table.add_row(step, f"{seconds_of[step]:.2f}", f"{limit:g}", f"{seconds_of[step] / limit:.0%}")
    Console(width=110).print(table)
    missed = [step for step, limit in LIMITS.items() if seconds_of[step] > limit]
    if missed:
        sys.exit(f"over the time limit: {', '.join(missed)}")


if __name__ == "__main__":
    main()
