"""Killed at any point, an update converges: the next run makes what an undisturbed run makes, and nothing is orphaned.

The real program by the real engine, against a real API server and moto; see `tests/engine/bare.py`. A point is a
phase of an instance's life, the process that is killed in it, and the moment: all drawn from a seed.
OPSTRACE_CRASH_SEED repeats a run, OPSTRACE_CRASH_POINTS says how many points; `make test-nightly` has 50.
"""

import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Sequence

import psutil
import pytest

from components.tenant_config import OnDelete
from tests.engine.census import portrait
from tests.engine.killing import OPERATION_SECONDS
from tests.engine.stack import (
    FATE,
    FATES,
    PHASES,
    SEED,
    Stack,
    Undisturbed,
    assert_nothing_orphaned_or_lost,
    differences,
)
from tests.shell import ROOT

POINTS = int(os.environ.get("OPSTRACE_CRASH_POINTS") or 50)
FEW_POINTS = 6
VICTIMS = {
    "engine": r"^pulumi$",
    "language host": r"localcloud\.plugins language_host|pulumi-language-python",
    "plugin": r"localcloud\.plugins (aws|kubernetes|random)|pulumi-resource-",
}


def _victims(engine: int, pattern: str) -> list[psutil.Process]:
    """Return the processes of a running engine, itself among them, that a pattern means."""
    found = []
    try:
        whole = psutil.Process(engine)
        for process in [whole, *whole.children(recursive=True)]:
            if re.search(pattern, process.name() if pattern.startswith("^") else " ".join(process.cmdline())):
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


def _strike(stack: Stack, undisturbed: Undisturbed, points: int, fates: Sequence[OnDelete], *, refreshed: bool) -> None:
    """Kill at so many points, in the order of an instance's life, and hold what the next run makes to the undisturbed.

    `fates` take turns, a life each. `refreshed`: after each the cloud itself is asked, too, whether all is as it is
    declared; else after one of each life, when there is most.
    """
    draw = random.Random(SEED)
    print(f"seed {SEED}, {points} points")
    victims = draw.sample(sorted(VICTIMS), len(VICTIMS))
    killed: list[str] = []
    number = 0
    while len(killed) < points or {*killed} != {*VICTIMS}:
        assert number < 3 * points, f"of {VICTIMS} only {killed} were there to be killed"
        victim, part = victims[number % len(victims)], draw.random()
        life, step = divmod(number, len(PHASES))
        phase, stack.fate = PHASES[step], fates[life % len(fates)]
        number += 1
        lines, wanted = undisturbed[phase]
        stack.prepare(phase)
        started = time.monotonic()
        struck = _killed(stack.command(phase), stack.environment, victim, int(part * lines), draw)
        what = f"{phase} ({stack.fate}): {victim} at line {int(part * lines)} of {lines}"
        print(f"    {what}", flush=True)
        # Of each kind by turns: after a plugin, the verbs know of what may be there by the history alone.
        stack.next_run(phase, by_verb=killed.count(victim) % 2 == 0)
        resources = stack.resources()
        assert_nothing_orphaned_or_lost(stack, phase, resources, what)
        assert differences(portrait(resources), wanted) == {}, what
        if phase == "change" or (refreshed and phase != "destroy"):
            assert stack.is_as_declared(), f"{what}: what is there is not what the state says"
        killed += [victim] if struck else []
        how, seconds = "killed" if struck else "it had ended", time.monotonic() - started
        print(f"{len(killed):3} {what}, {how}: converged in {seconds:.0f} s")
    if number % len(PHASES):  # the instance's life goes to its end, for those who come after
        stack.undisturbed("destroy")
    stack.fate = FATE


@pytest.mark.nightly
def test_the_next_run_converges_at_many_points(bare_stack: Stack, undisturbed: Undisturbed) -> None:
    _strike(bare_stack, undisturbed, POINTS, FATES, refreshed=True)


def test_the_next_run_converges_at_a_few_points(bare_stack: Stack, undisturbed: Undisturbed) -> None:
    _strike(bare_stack, undisturbed, FEW_POINTS, [FATE], refreshed=False)
