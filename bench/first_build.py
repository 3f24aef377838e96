"""The time from a new clone with empty caches to the first 200: `.venv/bin/python -m bench.first_build`, as root.

`create` fetches or builds all tools that an instance needs. It waits until each tenant answers 200. The collectors follow:
their program is built in the background.
"""

import json
import subprocess
import sys
import time
from typing import Any

from bench.figure import Figure, finish
from bench.fresh_checkout import fresh_checkout
from localcloud.supervisor import until

TITLE = "First build"
INSTANCE = "bench"
MOST_MINUTES = 15.0
COLLECTORS_SECONDS = 1800  # until their first data, at most
POLL_SECONDS = 5


def measure() -> list[Figure]:
    """Return the minutes of `create` in a new clone, and those until the collectors' first data after it."""
    with fresh_checkout() as (clone, environment):

        def opstrace(*arguments: str) -> None:
            subprocess.run([str(clone / "opstrace"), *arguments], cwd=clone, env=environment, check=True)

        def newest() -> dict[str, Any]:
            command = [str(clone / "opstrace"), "status", "local", INSTANCE, "--json"]
            result = subprocess.run(command, cwd=clone, env=environment, check=True, capture_output=True, text=True)
            return dict(json.loads(result.stdout)["newestData"])

        started = time.monotonic()
        try:
            opstrace("create", "local", INSTANCE, "--tenant", "one")
            created = time.monotonic()
            if not until(lambda: _has_data(newest()), COLLECTORS_SECONDS, POLL_SECONDS):
                sys.exit(f"the collectors sent nothing in {COLLECTORS_SECONDS} s: {newest()}")
            collected = time.monotonic()
            opstrace("destroy", "local", INSTANCE, "--purge", "--yes")
        finally:
            opstrace("local", "down")
    return [
        Figure("first build from registries, to the first 200", (created - started) / 60, "min", most=MOST_MINUTES),
        Figure("from there to the collectors' first data", (collected - created) / 60, "min"),
    ]


def _has_data(newest: dict[str, Any]) -> bool:
    """Tell whether both kinds of data of the collectors have arrived."""
    return all(kind["ageSeconds"] is not None for kind in newest.values())


if __name__ == "__main__":
    finish(TITLE, measure())
