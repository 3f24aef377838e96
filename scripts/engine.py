"""The Pulumi engine, called as a person would: the plain CLI, its output passed through."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from components.errors import UserError
from scripts.stackfile import ROOT


class Engine:
    """`pulumi` in one environment, for one stack."""

    def __init__(self, environment: Mapping[str, str], instance: str) -> None:
        self._environment = dict(environment)
        self._instance = instance
        found = shutil.which("pulumi", path=self._environment.get("PATH"))
        if not found:
            raise UserError("pulumi is not on PATH; install it (pulumi.com/docs/install), or use the provider `local`")
        self._pulumi = found

    def _command(self, *arguments: str) -> list[str]:
        return [self._pulumi, "--non-interactive", *arguments]

    def _quiet(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(*arguments), cwd=ROOT, env=self._environment, capture_output=True, text=True
        )

    def stacks(self) -> list[str]:
        """Return the names of all stacks of the project in this backend."""
        done = self._quiet("stack", "ls", "--json")
        if done.returncode:
            raise UserError(f"the engine's backend does not answer: {done.stderr.strip()}")
        return [entry["name"].rsplit("/", 1)[-1] for entry in json.loads(done.stdout)]

    def ensure_stack(self) -> None:
        """Make the stack where it is not there, and select it so that plain `pulumi up` means it."""
        if self._instance not in self.stacks():
            done = self._quiet("stack", "init", self._instance)
            if done.returncode:
                raise UserError(f"the stack {self._instance} cannot be made: {done.stderr.strip()}")
        self._quiet("stack", "select", self._instance)

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources in the stack's state."""
        done = self._quiet("stack", "export", "--stack", self._instance)
        if done.returncode:
            raise UserError(f"the state of {self._instance} cannot be read: {done.stderr.strip()}")
        deployment = json.loads(done.stdout).get("deployment") or {}
        return list(deployment.get("resources") or [])

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs; none of them is secret."""
        done = self._quiet("stack", "output", "--json", "--stack", self._instance)
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def run(self, *arguments: str) -> None:
        """Run an operation with its output on stderr; raises `UserError` when it fails."""
        command = self._command(*arguments, "--stack", self._instance)
        done = subprocess.run(command, cwd=ROOT, env=self._environment, stdout=sys.stderr)
        if done.returncode:
            raise UserError(f"`pulumi {arguments[0]}` failed; what it says stands above, and it can be run again")

    def up(self) -> None:
        """Apply the stack's configuration."""
        self.run("up", "--yes", "--skip-preview")

    def destroy(self) -> None:
        """Remove every resource, then the stack itself."""
        self.run("destroy", "--yes", "--skip-preview")
        done = self._quiet("stack", "rm", "--yes", "--preserve-config", self._instance)
        if done.returncode:
            raise UserError(f"the stack {self._instance} cannot be removed: {done.stderr.strip()}")
