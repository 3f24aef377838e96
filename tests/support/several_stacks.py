"""An instance on a bare cloud with tenants in stacks of their own, and the commands that work on all of them."""

import json
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from components.config.load import from_settings
from components.config.stack import stack_name
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from scripts.engine.pulumi import Engine
from tests.support.census import of_cloud, of_state
from tests.support.killing import OPERATION_SECONDS
from tests.support.polling import eventually
from tests.support.stack import INSTANCE, Stack

Outcomes = dict[str, tuple[str, dict[str, int]]]
"""The outcome of each stack, and the number of its resources by operation."""


class SeveralStacks:
    """The instance, and `tenants` that have or get stacks of their own."""

    def __init__(self, stack: Stack, tenants: Iterable[str]) -> None:
        self.stack, self.tenants = stack, [*tenants]

    @property
    def stacks(self) -> list[str]:
        """The stacks of the tenants that have a file."""
        names = [stack_name(INSTANCE, tenant) for tenant in self.tenants]
        return [name for name in names if self.file(name).exists()]

    def file(self, stack: str) -> Path:
        return self.stack.project.stack_path(stack)

    def command(self, line: str) -> list[str]:
        """Return the words of a command for this instance, in place of the one that the documentation names."""
        program, *words = line.split()
        assert program == "./opstrace"
        return [self.stack.project.launcher, *" ".join(words).replace("local showdown", f"aws {INSTANCE}").split()]

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        return self.stack.run(*self.command(line), check=False)

    def outcomes(self, line: str) -> Outcomes:
        """Run a command, which must succeed; return the outcome of each stack."""
        done = self.run(f"{line} --json")
        assert done.returncode == 0, done.stderr
        return outcomes_of(done.stdout)

    def start(self, line: str) -> subprocess.Popen[str]:
        """Start a command, which heeds interrupts also where these tests run in the background."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", *self.command(line)],
            cwd=self.stack.project.folder,
            env=self.stack.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def assert_complete(self, detail: str = "") -> None:
        """Fail unless the states have what is in the cloud, each thing once, and previews find no change."""
        inventories = [of_state(self.stack.resources(name)) for name in (INSTANCE, *self.stacks)]
        recorded = set().union(*inventories)
        assert sum(map(len, inventories)) == len(recorded), detail
        deployed = of_cloud(self.stack.cloud)
        assert deployed == recorded, f"{detail}: orphaned {deployed - recorded}, lost {recorded - deployed}"
        found = self.outcomes("./opstrace up local showdown --preview")
        assert {name: outcome for name, (outcome, _) in found.items()} == dict.fromkeys(
            [INSTANCE, *sorted(self.stacks)], "unchanged"
        ), detail

    def remove(self) -> None:
        """Remove the stacks of the tenants with their files, side by side."""
        config = from_settings(self.stack.settings("create"), INSTANCE)
        parts = Clients(self.stack.environment, config), Cluster(self.stack.environment, config)

        def one(name: str) -> None:
            engine = Engine(self.stack.environment, name, self.stack.project.folder)
            if engine.exists():
                engine.destroy(*parts)
            self.file(name).unlink()

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(one, self.stacks))


def outcomes_of(text: str) -> Outcomes:
    """Return the outcome of each stack that a command printed as JSON."""
    entries: list[dict[str, Any]] = json.loads(text)["stacks"]
    return {entry["stack"]: (entry["outcome"], entry["changes"]) for entry in entries}


def engines_of(command: int) -> list[psutil.Process]:
    """Return the engines that a command waits for; [] if it has ended."""
    try:
        return [child for child in psutil.Process(command).children() if child.name() == "pulumi"]
    except psutil.NoSuchProcess:
        return []


def kill_all(command: int) -> None:
    """Kill a command with everything that it started, also what has process groups of its own."""
    try:
        parent = psutil.Process(command)
        victims = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            pass  # it ended with its parent
    eventually(lambda: all(map(_has_ended, victims)), OPERATION_SECONDS, 0.02)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
