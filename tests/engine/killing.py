"""What tests that kill a command at work share: finding the engine that it waits for, and killing one or both."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

import psutil

from tests.shell import ROOT

OPERATION_SECONDS = 180  # what had a process of its own killed must end by itself


def engine_of(command: int) -> tuple[psutil.Process, str] | None:
    """Return the engine that a process of the `opstrace` command waits for, and what that does; None where there is none now."""
    try:
        for child in psutil.Process(command).children():
            if child.name() == "pulumi":
                return child, " ".join(child.cmdline()[2:4])
    except psutil.NoSuchProcess:
        pass  # one of them has just ended
    return None


def start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start an `opstrace` command in a process group of its own, which `os.killpg` kills whole."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(engine: psutil.Process) -> bool:
    """Kill an engine; return whether it was still there."""
    try:
        engine.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def kill_at(
    command: Sequence[str], environment: Mapping[str, str], work: str, after: float, *, alone: bool = False
) -> None:
    """Run an `opstrace` command, and kill it with all that it started, or the engine alone, some seconds after that began `work`."""
    process = start(command, environment)
    deadline = time.monotonic() + OPERATION_SECONDS
    while not ((found := engine_of(process.pid)) and found[1].startswith(work)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(after)
    if alone:
        kill(found[0])
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(OPERATION_SECONDS)
