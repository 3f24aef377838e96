"""What a command costs: its time, the memory of all its processes, and the state that it leaves."""

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
    """Seconds, the most memory of the command with all below it in MiB, and bytes of the state afterwards."""

    seconds: float
    memory: float
    state: int


def cost_of(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], states: Sequence[Path]
) -> tuple[Cost, str]:
    """Run a command in a folder and return what it cost, and what it said; the largest of the files `states` counts.

    Ends the bench with what the command said where it fails.
    """
    started, memory = time.monotonic(), 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=said, stderr=said)
        while process.poll() is None:
            memory = max(memory, _memory(process.pid))
            time.sleep(SAMPLE_SECONDS)
        seconds = time.monotonic() - started
        said.seek(0)
        text = said.read().decode()
    if process.returncode:
        sys.exit(text)
    sizes = [file.stat().st_size for file in states if file.exists()]
    return Cost(seconds, memory / 2**20, max(sizes, default=0)), text


def _memory(process: int) -> int:
    """Return the bytes that a process and all below it have in memory."""
    total = 0
    try:
        whole = psutil.Process(process)
        for entry in [whole, *whole.children(recursive=True)]:
            total += entry.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total
