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
from tests.engine.census import of_cloud, of_state, portrait
from tests.engine.stack import FATE, FATES, PHASES, SEED, Stack, Undisturbed, differences, retained
from tests.shell import ROOT

POINTS = int(os.environ.get("OPSTRACE_CRASH_POINTS") or 50)
FEW_POINTS = 6
VICTIMS = {
    "engine": r"^pulumi$",
    "language host": r"localcloud\.plugins\.language_host|pulumi-language-python",
    "plugin": r"localcloud\.plugins\.(aws|kubernetes|random)|pulumi-resource-",
}
OPERATION_SECONDS = 180  # an engine whose plugin died must end by itself


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


def _strike(stack: Stack, undisturbed: Undisturbed, points: int, fates: Sequence[OnDelete]) -> None:
    """Kill at so many points, in the order of an instance's life, and hold what the next run makes to the undisturbed.

    `fates` take turns, a life each.
    """
    draw = random.Random(SEED)
    print(f"seed {SEED}, {points} points")
    done, number = 0, 0
    while done < points:
        life, step = divmod(number, len(PHASES))
        phase, stack.fate = PHASES[step], fates[life % len(fates)]
        number += 1
        victim, part = draw.choice(sorted(VICTIMS)), draw.random()
        lines, wanted = undisturbed[phase]
        stack.prepare(phase)
        started = time.monotonic()
        struck = _killed(stack.command(phase), stack.environment, victim, int(part * lines), draw)
        what = f"{phase} ({stack.fate}): {victim} at line {int(part * lines)} of {lines}"
        print(f"    {what}", flush=True)
        stack.next_run(phase)
        resources = stack.resources()
        there, known = of_cloud(stack.cloud), of_state(resources)
        assert there - known == retained(stack, phase), f"{what}: orphaned"
        assert known - there == set(), f"{what}: lost"
        assert differences(portrait(resources), wanted) == {}, what
        assert phase == "destroy" or stack.is_as_declared(), f"{what}: what is there is not what the state says"
        done += bool(struck)
        print(
            f"{done:3} {what}, {'killed' if struck else 'it had ended'}: converged in {time.monotonic() - started:.0f} s"
        )
    if number % len(PHASES):  # the instance's life goes to its end, for those who come after
        stack.undisturbed("destroy")
    stack.fate = FATE


@pytest.mark.nightly
def test_the_next_run_converges_at_many_points(bare_stack: Stack, undisturbed: Undisturbed) -> None:
    _strike(bare_stack, undisturbed, POINTS, FATES)


def test_the_next_run_converges_at_a_few_points(bare_stack: Stack, undisturbed: Undisturbed) -> None:
    _strike(bare_stack, undisturbed, FEW_POINTS, [FATE])
