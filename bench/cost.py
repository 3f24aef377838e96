"""Measurement of a command: its time, the work and memory of all its processes, and the size of the state file."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.1


@dataclass(frozen=True)
class Cost:
    """Seconds, processor seconds and peak memory (MiB) of the command and its descendants, and the size of the state in bytes.

    Descendants count whose parents wait for their end. On a machine with other work, processor seconds differ least.
    """

    seconds: float
    processor: float
    memory: float
    state: int


def cost_of(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], states: Sequence[Path]
) -> tuple[Cost, str]:
    """Run a command in a folder; return its cost and its output. The state is the largest of the files `states`.

    Exits with the command's output where it fails.
    """
    started, memory = time.monotonic(), 0
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=output, stderr=output)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            memory = max(memory, _memory(process.pid))
            time.sleep(SAMPLE_SECONDS)
        seconds = time.monotonic() - started
        _, status, usage = ended
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
    if process.returncode:
        sys.exit(text)
    sizes = [file.stat().st_size for file in states if file.exists()]
    return Cost(seconds, usage.ru_utime + usage.ru_stime, memory / 2**20, max(sizes, default=0)), text


def _memory(process: int) -> int:
    """Return the resident memory, in bytes, of a process and its descendants."""
    total = 0
    try:
        parent = psutil.Process(process)
        for entry in [parent, *parent.children(recursive=True)]:
            total += entry.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total
