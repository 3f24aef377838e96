"""Killing a command at work: find the engine that it waits for, and kill the engine or both."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

import psutil

from tests.support.polling import eventually
from tests.support.shell import ROOT

OPERATION_SECONDS = 180  # the longest time until a command ends after the kill of its engine


def engine_of(command: int) -> tuple[psutil.Process, str] | None:
    """Return the engine that an `opstrace` process waits for, and its operation; None if no engine runs."""
    try:
        for child in psutil.Process(command).children():
            if child.name() == "pulumi":
                return child, " ".join(child.cmdline()[2:4])
    except psutil.NoSuchProcess:
        pass  # a process has just ended
    return None


def engine_at_work(command: int, operation: str) -> psutil.Process:
    """Return the engine that an `opstrace` process waits for, once it is at this operation."""
    found: list[psutil.Process] = []

    def is_at_work() -> bool:
        engine = engine_of(command)
        found[:] = [engine[0]] if engine and engine[1].startswith(operation) else []
        return bool(found)

    eventually(is_at_work, OPERATION_SECONDS, 0.1)
    return found[0]


def start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start an `opstrace` command in a new process group, so that `os.killpg` kills it with its children."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(engine: psutil.Process) -> bool:
    """Kill an engine; return whether it still ran."""
    try:
        engine.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def kill_at(
    command: Sequence[str], environment: Mapping[str, str], operation: str, after: float, *, alone: bool = False
) -> None:
    """Run an `opstrace` command, and kill it `after` seconds from the start of the engine's operation.

    With `alone`, kill the engine only; else the command and all its children.
    """
    process = start(command, environment)
    engines: list[psutil.Process] = []

    def has_begun() -> bool:
        engine = engine_of(process.pid)
        if engine and engine[1].startswith(operation):
            engines.append(engine[0])
            return True
        assert process.poll() is None, f"the command ended with {process.returncode} before the operation {operation}"
        return False

    eventually(has_begun, OPERATION_SECONDS, 0.02)
    time.sleep(after)
    if alone:
        kill(engines[0])
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(OPERATION_SECONDS)
