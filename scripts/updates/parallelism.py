"""How many engines run at once."""

import os

import psutil

# In bytes: an engine with its language host, program and plugins takes 490 MiB with the stand-ins. Official plugins are larger.
MEMORY_PER_ENGINE = 800 * 10**6


def default_parallelism() -> int:
    """Return how many engines this machine runs at once: as many as it has processors, if its free memory allows."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, psutil.virtual_memory().available // MEMORY_PER_ENGINE))
