"""An update that is killed at any point converges: the next run gives the uninterrupted run's result.

The real program and engine run against a real API server and moto (tests/support/bare_cloud.py). A seed draws the
points: a phase of an instance's life, the process that is killed, and the moment.

OPSTRACE_CRASH_SEED repeats a run. OPSTRACE_CRASH_POINTS is the number of points; `make test-nightly` has 50.
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

from components.config.tenant import OnDelete
from tests.support.census import portrait
from tests.support.killing import OPERATION_SECONDS
from tests.support.stack import (
    ON_DELETE,
    ON_DELETE_VALUES,
    PHASES,
    SEED,
    Stack,
    Uninterrupted,
    assert_nothing_orphaned_or_lost,
    differences,
)

POINTS = int(os.environ.get("OPSTRACE_CRASH_POINTS") or 50)
FEW_POINTS = 6
VICTIMS = {
    "engine": r"^pulumi$",
    "language host": r"localcloud\.plugins language_host|pulumi-language-python",
    "plugin": r"localcloud\.plugins (aws|kubernetes|random)|pulumi-resource-",
}


def _victims(engine: int, pattern: str) -> list[psutil.Process]:
    """Return the running processes of an engine, itself included, that match a pattern."""
    processes = []
    try:
        parent = psutil.Process(engine)
        for process in [parent, *parent.children(recursive=True)]:
            if re.search(pattern, process.name() if pattern.startswith("^") else " ".join(process.cmdline())):
                processes.append(process)
    except psutil.NoSuchProcess:
        pass
    return processes


def _killed(stack: Stack, command: list[str], victim: str, lines: int, draw: random.Random) -> str:
    """Run an operation and kill a process after `lines` lines of output.

    Return the command line of the process, '' if the operation ended first.
    """
    process = subprocess.Popen(
        command,
        cwd=stack.project.folder,
        env=stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    pause = draw.uniform(0, 0.3)
    for _ in range(lines):
        if not process.stdout.readline():
            break
    time.sleep(pause)
    while not (victims := _victims(process.pid, VICTIMS[victim])) and process.poll() is None:
        time.sleep(0.02)  # the process has not started yet
    struck = ""
    if victims:
        chosen = draw.choice(victims)
        try:
            struck = " ".join(chosen.cmdline())
            chosen.kill()
        except psutil.NoSuchProcess:
            struck = ""
    reader = threading.Thread(target=process.stdout.read, daemon=True)
    reader.start()
    process.wait(OPERATION_SECONDS)
    return struck


def _strike(
    stack: Stack, uninterrupted: Uninterrupted, points: int, on_delete_values: Sequence[OnDelete], *, refreshed: bool
) -> None:
    """Kill at `points` points through lives of the instance, and compare each next run with the uninterrupted one.

    `on_delete_values` take turns, one for each life. With `refreshed`, a preview with a refresh must find no change
    after each kill; without it, after `change` only, when most resources exist.
    """
    draw = random.Random(SEED)
    print(f"seed {SEED}, {points} points")
    victims = draw.sample(sorted(VICTIMS), len(VICTIMS))
    killed: list[str] = []
    number = 0
    while len(killed) < points or {*killed} != {*VICTIMS}:
        assert number < 3 * points, f"of {VICTIMS} only {killed} ran and were killed"
        victim, part = victims[number % len(victims)], draw.random()
        life, step = divmod(number, len(PHASES))
        phase, stack.on_delete = PHASES[step], on_delete_values[life % len(on_delete_values)]
        number += 1
        lines, expected = uninterrupted[phase]
        stack.prepare(phase)
        started = time.monotonic()
        struck = _killed(stack, stack.command(phase), victim, int(part * lines), draw)
        what = f"{phase} ({stack.on_delete}): {victim} at line {int(part * lines)} of {lines}"
        print(f"    {what}", flush=True)
        # Alternates for each kind of process: after the kill of a plugin, the commands learn of it only from the history.
        stack.next_run(phase, by_verb=killed.count(victim) % 2 == 0)
        resources = stack.resources()
        assert_nothing_orphaned_or_lost(stack, phase, resources, what)
        assert differences(portrait(resources), expected) == {}, what
        if phase == "change" or (refreshed and phase != "destroy"):
            assert stack.is_as_declared(), f"{what}: the cloud differs from the state"
        killed += [victim] if struck else []
        how, seconds = "killed" if struck else "it had ended", time.monotonic() - started
        print(f"{len(killed):3} {what}, {how}: converged in {seconds:.0f} s")
    if number % len(PHASES):  # later tests need an empty cloud
        stack.uninterrupted("destroy")
    stack.on_delete = ON_DELETE


@pytest.mark.nightly
def test_the_next_run_converges_at_many_points(bare_stack: Stack, uninterrupted: Uninterrupted) -> None:
    _strike(bare_stack, uninterrupted, POINTS, ON_DELETE_VALUES, refreshed=True)


def test_the_next_run_converges_at_a_few_points(bare_stack: Stack, uninterrupted: Uninterrupted) -> None:
    _strike(bare_stack, uninterrupted, FEW_POINTS, [ON_DELETE], refreshed=False)
