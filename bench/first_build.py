"""The time from a new clone with empty caches to the first 200: `.venv/bin/python -m bench.first_build`, as root.

`create` fetches or builds all tools that an instance needs. It waits until each tenant answers 200.
"""

import subprocess
import time

from bench.figure import Figure, finish
from bench.fresh_checkout import fresh_checkout

TITLE = "First build"
INSTANCE = "bench"
MOST_MINUTES = 15.0


def measure() -> list[Figure]:
    """Return the minutes of `create` in a new clone."""
    with fresh_checkout() as (clone, environment):

        def opstrace(*arguments: str) -> None:
            subprocess.run([str(clone / "opstrace"), *arguments], cwd=clone, env=environment, check=True)

        started = time.monotonic()
        try:
            opstrace("create", "local", INSTANCE, "--tenant", "one")
            minutes = (time.monotonic() - started) / 60
            opstrace("destroy", "local", INSTANCE, "--purge", "--yes")
        finally:
            opstrace("local", "down")
    return [Figure("first build from registries, to the first 200", minutes, "min", most=MOST_MINUTES)]


if __name__ == "__main__":
    finish(TITLE, measure())
