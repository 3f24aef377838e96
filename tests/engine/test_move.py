"""`tenants move` that is killed goes on where it was, and moves nothing but states and files.

OPSTRACE_CRASH_SEED repeats a run, OPSTRACE_MOVE_POINTS says how often it is killed.
"""

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from components.config import stack_name
from components.names import namespace
from scripts.stackfile import STACKS
from tests.engine.census import Found, of_cloud, of_state
from tests.engine.killing import OPERATION_SECONDS, engine_of, kill, start
from tests.engine.stack import INSTANCE, PASSING, SEED, STACK_FILE, Stack
from tests.shell import ROOT, run

POINTS = int(os.environ.get("OPSTRACE_MOVE_POINTS") or 12)
OWN_STACK = stack_name(INSTANCE, PASSING)
OWN_FILE = STACKS / f"Pulumi.{OWN_STACK}.yaml"
DIRECTIONS = ("own-stack", "instance")


class Moving:
    """A tenant of an instance on a bare cloud, and what must not change when it is moved."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.before, self.pods = of_cloud(stack.cloud), self._pods()

    def _pods(self) -> set[str]:
        pods = self.stack.cloud.kubernetes.list(f"/api/v1/namespaces/{namespace(PASSING)}/pods")
        return {pod["metadata"]["uid"] for pod in pods}

    @staticmethod
    def command(to: str) -> list[str]:
        return [str(ROOT / "opstrace"), "tenants", "move", "aws", INSTANCE, PASSING, "--to", to]

    def move(self, to: str) -> None:
        """Move it, undisturbed."""
        run(*self.command(to), env=self.stack.environment)

    def killed(self, to: str, seconds: float, draw: random.Random) -> str:
        """Begin to move it, and after some seconds kill the engine alone or everything; return which, '' if too late."""
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
        """Kill the engine that the command waits for; return what it was at, '' where there is none."""
        found = engine_of(command)
        return f"pulumi {found[1]}" if found and kill(found[0]) else ""

    def assert_moved(self, to: str, what: str = "") -> None:
        """Fail unless the tenant is where it is to be and there alone, and everything is what it was and as declared."""
        alone = to == "own-stack"
        assert OWN_FILE.exists() == alone, what
        assert (f"name: {PASSING}" in STACK_FILE.read_text()) != alone, what
        instance, own = (self._known(name) for name in (INSTANCE, OWN_STACK))
        assert not instance & own, what
        assert instance | own == of_cloud(self.stack.cloud) == self.before, what
        assert bool(own) == alone and self._pods() == self.pods, what
        for name in (INSTANCE, OWN_STACK) if alone else (INSTANCE,):
            assert self.stack.is_as_declared(name), what

    def _known(self, name: str) -> Found:
        return of_state(self.stack.resources(name))


@pytest.fixture(scope="module")
def moving(bare_stack: Stack) -> Iterator[Moving]:
    OWN_FILE.unlink(missing_ok=True)  # of a run that was killed
    for phase in ("create", "add"):
        bare_stack.undisturbed(phase)
    made = Moving(bare_stack)
    yield made
    if OWN_FILE.exists():  # a test failed in the middle
        made.move("instance")
    bare_stack.undisturbed("destroy")


@pytest.mark.nightly
def test_a_move_that_is_killed_goes_on_where_it_was(moving: Moving) -> None:
    """Beside this, test_tenant_alone.py interrupts it at the moments that matter, on a real cluster."""
    draw = random.Random(SEED)
    seconds = {}
    for to in (*DIRECTIONS, "own-stack"):
        started = time.monotonic()
        moving.move(to)
        seconds[to] = time.monotonic() - started
        moving.assert_moved(to)
    print(f"seed {SEED}, {POINTS} points; undisturbed it takes {seconds} s")
    struck = 0
    for number in range(1, 3 * POINTS):
        to = DIRECTIONS[number % 2]
        after = draw.uniform(0, seconds[to])
        victim = moving.killed(to, after, draw)
        struck += bool(victim)
        what = f"to {to}: {victim or 'nothing'} killed after {after:.1f} s"
        again = run(*moving.command(to), env=moving.stack.environment, check=False)
        # What was killed at its very end has nothing left to do.
        assert again.returncode == 0 or "lives in the stack of" in again.stderr, f"{what}: {again.stderr}"
        moving.assert_moved(to, what)
        print(f"{struck:3} {what}: it went on where it was", flush=True)
        if struck >= POINTS and to == "instance":
            return
    raise AssertionError(f"only {struck} of {POINTS} moves were there to be killed")
