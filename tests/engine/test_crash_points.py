"""Killed at any point, an update converges: the next run makes what an undisturbed run makes, and nothing is orphaned.

The real program by the real engine, against a real API server and moto; see `tests/engine/bare.py`. A point is a
phase of an instance's life, the process that is killed in it, and the moment: all drawn from a seed.
OPSTRACE_CRASH_SEED repeats a run, OPSTRACE_CRASH_POINTS says how many points; `make test-nightly` has 50.
"""

import json
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from components.keys import canonical_pem, key_id
from localcloud import cloud as embedded
from scripts.engine import Engine
from scripts.keyfiles import new_key
from tests.conftest import ROOT, run
from tests.engine.bare import BareCloud
from tests.engine.census import of_cloud, of_state, portrait

INSTANCE = "crash"
STACK_FILE = ROOT / "stacks" / f"Pulumi.{INSTANCE}.yaml"
SEED = int(os.environ.get("OPSTRACE_CRASH_SEED") or random.SystemRandom().randrange(10**6))
POINTS = int(os.environ.get("OPSTRACE_CRASH_POINTS") or 50)
PHASES = ("create", "add", "change", "delete", "destroy")
VICTIMS = {
    "engine": r"^pulumi$",
    "language host": r"localcloud\.plugins\.language_host|pulumi-language-python",
    "plugin": r"localcloud\.plugins\.(aws|kubernetes|random)|pulumi-resource-",
}
OPERATION_SECONDS = 180  # an engine whose plugin died must end by itself


class Stack:
    """The instance of this test: its file by phase, and the engine on it."""

    def __init__(self, cloud: BareCloud) -> None:
        self.cloud, self._settings = cloud, embedded.stack_settings(cloud.settings)
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
            Engine(self.cloud.environment, INSTANCE).ensure_stack()
        elif phase != "destroy":
            self.write(phase)

    def undisturbed(self, phase: str) -> int:
        """Run a phase to its end; return how many lines it said while it was at work."""
        self.prepare(phase)
        said = run(*self.command(phase), env=self.cloud.environment).stdout
        if phase == "destroy":
            self._finish_destroy()
        return len(
            re.split(r"^(?:Diagnostics|Outputs|Resources):", said, maxsplit=1, flags=re.MULTILINE)[0].splitlines()
        )

    def _finish_destroy(self) -> None:
        run(str(ROOT / "opstrace"), "destroy", "aws", INSTANCE, "--purge", "--yes", env=self.cloud.environment)

    def next_run(self, phase: str) -> None:
        """Do what docs/operations.md says of an update that was killed, with the command and the plain engine."""
        if phase == "destroy":
            self._finish_destroy()
            return
        run(str(ROOT / "opstrace"), "recover", "aws", INSTANCE, env=self.cloud.environment)
        run(*self.command(phase), env=self.cloud.environment)

    def resources(self) -> list[dict[str, Any]]:
        """Return the state's resources, with secrets in plain text; none where the stack is gone."""
        command = ["pulumi", "stack", "export", "--show-secrets", "--stack", INSTANCE]
        done = run(*command, env=self.cloud.environment, check=False)
        if done.returncode:
            assert "no stack named" in done.stderr, done.stderr
            return []
        deployment = json.loads(done.stdout)["deployment"]
        assert not deployment.get("pending_operations")
        return list(deployment.get("resources") or [])


def _victims(engine: int, pattern: str) -> list[psutil.Process]:
    """Return the processes of a running engine, itself among them, that a pattern means."""
    found = []
    try:
        whole = psutil.Process(engine)
        for process in [whole, *whole.children(recursive=True)]:
            names = [process.name()] if pattern.startswith("^") else process.cmdline()
            if any(re.search(pattern, name) for name in names):
                found.append(process)
    except psutil.NoSuchProcess:
        pass
    return found


def _killed(command: list[str], environment: dict[str, str], victim: str, lines: int, draw: random.Random) -> str:
    """Run an operation and kill one of its processes after so many lines; return which, or '' where it was too late."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    pause = draw.uniform(0, 0.3)
    for _ in range(lines):
        if not process.stdout.readline():
            break
    time.sleep(pause)
    while not (found := _victims(process.pid, VICTIMS[victim])) and process.poll() is None:
        time.sleep(0.02)  # it is not started yet
    struck = ""
    if found:
        chosen = draw.choice(found)
        try:
            struck = " ".join(chosen.cmdline())
            chosen.kill()
        except psutil.NoSuchProcess:
            struck = ""
    reader = threading.Thread(target=process.stdout.read, daemon=True)
    reader.start()
    process.wait(OPERATION_SECONDS)
    return struck


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = BareCloud(tmp_path_factory.mktemp("bare"))
    try:
        made.start()
        yield Stack(made)
    finally:
        made.stop()
        STACK_FILE.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def undisturbed(stack: Stack) -> dict[str, tuple[int, dict[str, Any]]]:
    """How many lines each phase says when nobody is killed, and the portrait of what it makes."""
    found = {}
    for phase in PHASES:
        lines = stack.undisturbed(phase)
        resources = stack.resources()
        assert of_state(resources) == of_cloud(stack.cloud)
        found[phase] = (lines, portrait(resources))
    return found


def _differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {urn: (left.get(urn), right.get(urn)) for urn in {*left, *right} if left.get(urn) != right.get(urn)}


def _strike(stack: Stack, undisturbed: dict[str, tuple[int, dict[str, Any]]], points: int) -> None:
    """Kill at so many points, in the order of an instance's life, and hold what the next run makes to the undisturbed."""
    draw = random.Random(SEED)
    print(f"seed {SEED}, {points} points")
    done, number = 0, 0
    while done < points:
        phase = PHASES[number % len(PHASES)]
        number += 1
        victim, part = draw.choice(sorted(VICTIMS)), draw.random()
        lines, wanted = undisturbed[phase]
        stack.prepare(phase)
        started = time.monotonic()
        struck = _killed(stack.command(phase), stack.cloud.environment, victim, int(part * lines), draw)
        what = f"{phase}: {victim} at line {int(part * lines)} of {lines}"
        print(f"    {what}", flush=True)
        stack.next_run(phase)
        resources = stack.resources()
        there, known = of_cloud(stack.cloud), of_state(resources)
        assert there - known == set(), f"{what}: orphaned"
        assert known - there == set(), f"{what}: lost"
        assert _differences(portrait(resources), wanted) == {}, what
        done += bool(struck)
        print(
            f"{done:3} {what}, {'killed' if struck else 'it had ended'}: converged in {time.monotonic() - started:.0f} s"
        )
    while number % len(PHASES):  # the instance's life goes to its end, for those who come after
        stack.undisturbed(PHASES[number % len(PHASES)])
        number += 1


@pytest.mark.nightly
def test_the_next_run_converges_at_many_points(
    stack: Stack, undisturbed: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    _strike(stack, undisturbed, POINTS)
