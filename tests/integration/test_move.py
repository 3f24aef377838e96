"""`tenants move` continues after a kill, and changes only states and files.

OPSTRACE_CRASH_SEED repeats a run. OPSTRACE_MOVE_POINTS is the number of kills.
"""

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from components.config.stack import stack_name
from components.core.names import namespace
from tests.support.census import Inventory, of_cloud, of_state
from tests.support.killing import OPERATION_SECONDS, engine_of, kill, start
from tests.support.stack import INSTANCE, SEED, TEMPORARY, Stack

POINTS = int(os.environ.get("OPSTRACE_MOVE_POINTS") or 12)
OWN_STACK = stack_name(INSTANCE, TEMPORARY)
DIRECTIONS = ("own-stack", "instance")


class Moving:
    """A tenant of an instance on a bare cloud, and the inventory and pods that a move must not change."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.before, self.pods = of_cloud(stack.cloud), self._pods()

    def _pods(self) -> set[str]:
        pods = self.stack.cloud.kubernetes.list(f"/api/v1/namespaces/{namespace(TEMPORARY)}/pods")
        return {pod["metadata"]["uid"] for pod in pods}

    def command(self, to: str) -> list[str]:
        return [self.stack.project.launcher, "tenants", "move", "aws", INSTANCE, TEMPORARY, "--to", to]

    def move(self, to: str) -> None:
        """Move the tenant, without a kill."""
        self.stack.run(*self.command(to))

    def killed(self, to: str, seconds: float, draw: random.Random) -> str:
        """Start a move, and kill the engine or everything after some seconds; return which, '' if it had ended."""
        process = start(self.command(to), self.stack.environment)
        time.sleep(seconds)
        alone, struck = draw.random() < 0.5, ""
        if alone:
            struck = self._engine_killed(process.pid)
        if not struck and process.poll() is None:
            struck = "everything"
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(OPERATION_SECONDS)
        return struck

    @staticmethod
    def _engine_killed(command: int) -> str:
        """Kill the engine that the command waits for; return its operation, '' if there is no engine."""
        engine = engine_of(command)
        return f"pulumi {engine[1]}" if engine and kill(engine[0]) else ""

    def assert_moved(self, to: str, detail: str = "") -> None:
        """Fail unless the tenant is in this stack alone, the cloud is unchanged, and previews find no change."""
        alone = to == "own-stack"
        assert self.stack.project.stack_path(OWN_STACK).exists() == alone, detail
        assert (f"name: {TEMPORARY}" in self.stack.file.read_text()) != alone, detail
        instance, own_stack = (self._inventory(name) for name in (INSTANCE, OWN_STACK))
        assert not instance & own_stack, detail
        assert instance | own_stack == of_cloud(self.stack.cloud) == self.before, detail
        assert bool(own_stack) == alone and self._pods() == self.pods, detail
        for name in (INSTANCE, OWN_STACK) if alone else (INSTANCE,):
            assert self.stack.is_as_declared(name), detail

    def _inventory(self, name: str) -> Inventory:
        return of_state(self.stack.resources(name))


@pytest.fixture(scope="module")
def moving(bare_stack: Stack) -> Iterator[Moving]:
    for phase in ("create", "add"):
        bare_stack.uninterrupted(phase)
    moving = Moving(bare_stack)
    yield moving
    if bare_stack.project.stack_path(OWN_STACK).exists():  # a test failed in the middle
        moving.move("instance")
    bare_stack.uninterrupted("destroy")


@pytest.mark.nightly
def test_a_killed_move_is_resumed(moving: Moving) -> None:
    """test_tenant_alone.py also interrupts a move at the critical moments, on a real cluster."""
    draw = random.Random(SEED)
    seconds = {}
    for to in (*DIRECTIONS, "own-stack"):
        started = time.monotonic()
        moving.move(to)
        seconds[to] = time.monotonic() - started
        moving.assert_moved(to)
    print(f"seed {SEED}, {POINTS} points; uninterrupted it takes {seconds} s")
    struck = 0
    for number in range(1, 3 * POINTS):
        to = DIRECTIONS[number % 2]
        after = draw.uniform(0, seconds[to])
        victim = moving.killed(to, after, draw)
        struck += bool(victim)
        detail = f"to {to}: {victim or 'nothing'} killed after {after:.1f} s"
        again = moving.stack.run(*moving.command(to), check=False)
        # A move that was killed at its very end is complete.
        assert again.returncode == 0 or "lives in the stack of" in again.stderr, f"{detail}: {again.stderr}"
        moving.assert_moved(to, detail)
        print(f"{struck:3} {detail}: resumed", flush=True)
        if struck >= POINTS and to == "instance":
            return
    raise AssertionError(f"only {struck} of {POINTS} moves ran long enough for a kill")
