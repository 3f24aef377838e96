"""The time of all tests: `.venv/bin/python -m bench.suite`, as root. The output of a failed test ends the bench.

`make test` runs in this checkout, whose tools are cached, and then in a new clone with empty caches.
"""

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bench.figure import Figure, finish
from bench.fresh_checkout import fresh_checkout
from scripts.stackfile.file import ROOT

TITLE = "Time of all tests"
WARM_MINUTES, COLD_MINUTES = 28.0, 80.0


def _minutes(checkout: Path, environment: Mapping[str, str]) -> float:
    started = time.monotonic()
    subprocess.run(["make", "test"], cwd=checkout, env=environment, check=True)
    return (time.monotonic() - started) / 60


def measure() -> list[Figure]:
    """Return the minutes of `make test`, with the tools cached and from empty caches."""
    warm = _minutes(ROOT, os.environ)
    with fresh_checkout() as (clone, environment):
        cold = _minutes(clone, environment)
    return [
        Figure("`make test`, tools cached", warm, "min", most=WARM_MINUTES),
        Figure("`make test`, from empty caches", cold, "min", most=COLD_MINUTES),
    ]


if __name__ == "__main__":
    finish(TITLE, measure())
