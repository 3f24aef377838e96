"""A description of this machine, for the titles of tables."""

import os
import platform
from pathlib import Path

import psutil


def machine() -> str:
    """Return the processor and the memory in words."""
    processor = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return f"{os.cpu_count()} cores ({processor}), {psutil.virtual_memory().total / 2**30:.0f} GiB"
