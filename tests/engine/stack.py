"""An instance on a bare cloud, from its creation to its end, and what an undisturbed run makes of each phase."""

import copy
import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from components.keys import canonical_pem, key_id
from localcloud import cloud as embedded
from scripts.engine import Engine
from scripts.keyfiles import new_key
from tests.engine.bare import BareCloud
from tests.shell import ROOT, run

INSTANCE = "crash"
STACK_FILE = ROOT / "stacks" / f"Pulumi.{INSTANCE}.yaml"
PHASES = ("create", "add", "change", "delete", "destroy")


class Stack:
    """An instance whose life has phases: its file by phase, and the engine on it."""

    def __init__(self, cloud: BareCloud) -> None:
        self.cloud, self._settings = cloud, embedded.stack_settings(cloud.settings)
        self.environment = cloud.environment
        self._replaced: Mapping[str, str] = {}
        keys = [new_key().public_key() for _ in range(2)]
        self._keys = {key_id(key): canonical_pem(key) for key in keys}

    def settings(self, phase: str) -> dict[str, Any]:
        """Return the stack's settings after a phase."""
        changed = phase not in ("create", "add")
        first = dict([*self._keys.items()][: 2 if changed else 1])
        tenants: list[dict[str, Any]] = [{"name": "default"}]
        if changed:
            retention = {"metrics": "40d", "logs": "40d"}
            tenants = [{"name": "default", "retention": retention, "labels": {"team": "b"}, "owner": "b"}]
        if phase in ("add", "change"):
            tenants.append({"name": "second", "onDelete": "purge"})
        # Another node port replaces the target group and the rules, and changes listener and Service in place.
        balancer = self._settings["loadBalancer"] | ({"nodePort": 30444} if changed else {})
        more = {"loadBalancer": balancer, "tenants": tenants, "dataApi": {"publicKeys": first}}
        return self._settings | more

    def through(self, replaced: Mapping[str, str]) -> "Stack":
        """Return the same stack as a shell sees it for which these addresses are replaced."""

        def elsewhere(text: str) -> str:
            for old, new in replaced.items():
                text = text.replace(old, new)
            return text

        other = copy.copy(self)
        other._replaced = replaced
        other.environment = {name: elsewhere(value) for name, value in self.environment.items()}
        other._settings = json.loads(elsewhere(json.dumps(self._settings)))
        return other

    def write(self, phase: str) -> None:
        """Write the stack's file as it is to be after a phase."""
        yaml = YAML()
        known = yaml.load(STACK_FILE.read_text()) if STACK_FILE.exists() else {}
        known["config"] = {f"opstrace:{name}": value for name, value in self.settings(phase).items()}
        with STACK_FILE.open("w") as file:
            yaml.dump(known, file)

    def command(self, phase: str) -> list[str]:
        """Return the plain engine's command of a phase."""
        verb = "destroy" if phase == "destroy" else "up"
        return ["pulumi", "--non-interactive", verb, "--yes", "--skip-preview", "--stack", INSTANCE]

    def prepare(self, phase: str) -> None:
        """Make the stack where there is none, and write its file for a phase."""
        if phase == "create":
            STACK_FILE.unlink(missing_ok=True)
            self.write(phase)
            Engine(self.environment, INSTANCE).ensure_stack()
        elif phase != "destroy":
            self.write(phase)

    def undisturbed(self, phase: str) -> int:
        """Run a phase to its end; return how many lines it said while it was at work."""
        self.prepare(phase)
        said = run(*self.command(phase), env=self.environment).stdout
        if phase == "destroy":
            self._finish_destroy()
        return len(
            re.split(r"^(?:Diagnostics|Outputs|Resources):", said, maxsplit=1, flags=re.MULTILINE)[0].splitlines()
        )

    def _finish_destroy(self) -> None:
        run(str(ROOT / "opstrace"), "destroy", "aws", INSTANCE, "--purge", "--yes", env=self.environment)

    def attempt(self, phase: str) -> subprocess.CompletedProcess[str]:
        """Run a phase that is prepared; it may fail."""
        return run(*self.command(phase), env=self.environment, check=False)

    def next_run(self, phase: str) -> None:
        """Do what docs/operations.md says of an update that was killed, with the command and the plain engine."""
        if phase == "destroy":
            self._finish_destroy()
            return
        self.recover()
        run(*self.command(phase), env=self.environment)

    def recover(self) -> None:
        """Settle what the last run left."""
        run(str(ROOT / "opstrace"), "recover", "aws", INSTANCE, env=self.environment)

    def resources(self) -> list[dict[str, Any]]:
        """Return the state's resources, with secrets in plain text and the cloud's own addresses; none where it is gone."""
        command = ["pulumi", "stack", "export", "--show-secrets", "--stack", INSTANCE]
        done = run(*command, env=self.environment, check=False)
        if done.returncode:
            assert "no stack named" in done.stderr, done.stderr
            return []
        text = done.stdout
        for own, other in self._replaced.items():
            text = text.replace(other, own).replace(_host(other), _host(own))
        deployment = json.loads(text)["deployment"]
        assert not deployment.get("pending_operations")
        return list(deployment.get("resources") or [])


def _host(address: str) -> str:
    """Return an address without its scheme: so it stands in Cortex's configuration."""
    return address.rpartition("//")[2]


def differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {urn: (left.get(urn), right.get(urn)) for urn in {*left, *right} if left.get(urn) != right.get(urn)}
