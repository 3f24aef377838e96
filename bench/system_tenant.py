"""Resident memory of a Cortex with as many series as the system tenant may have: `.venv/bin/python -m bench.system_tenant`.

Cortex runs alone over an S3 server on this machine, with its pod's configuration and the defaults of the system tenant. The
series have labels like cAdvisor's. Late samples are those of an outage: of each series, as old as the window for them admits.
The bench fails if one more series or an older sample is accepted, or if a pod of the size `small` has too little memory.
"""

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from bench.figure import Figure, finish
from components.config.platform.system_tenant import SYSTEM_DEFAULTS
from components.core.units import amount, interval_seconds
from tests.support.backend import TENANT, Backend
from tests.support.remote_write import HEADERS, request
from tests.support.s3_server import s3_server

TITLE = "Series of the system tenant"
NAMES, PODS = 100, 1_100
SERIES_OF_A_PUSH, SCRAPES = 4_000, 4
LATE_SCRAPES, LATE_SECONDS = 4, 15  # of each series, and the seconds between two
TOO_LATE_SECONDS = 300  # beyond the window, which ends at the newest sample
SETTLED_SECONDS = 15


class LimitError(Exception):
    """Cortex accepted what the limits forbid, or refused what they admit."""


def labels_of(number: int) -> dict[str, str]:
    """Return the labels of one of many series."""
    return {
        "__name__": f"container_metric_{number % NAMES}",
        "namespace": f"team{number % 101}-tenant",
        "pod": f"deployment-{number % PODS}-7c9f8d6b5-x2x{number % 10}z",
        "container": "main",
        "id": f"/kubepods/burstable/pod{number:036x}",
        "image": "registry.example.com/team/program:v1.21.1",
        "instance": f"node-{number % 10}",
        "job": "cadvisor",
        "node": f"node-{number % 10}",
    }


def push(cortex: Backend, numbers: Sequence[int], moment: float) -> tuple[int, str]:
    """Push a sample of each of these series, as soon as the rate admits it; return the status and the text."""
    body = request(*((labels_of(number), [(moment, 1.0)]) for number in numbers))
    while True:
        status, text = cortex.ask("POST", "/api/v1/push", body=body, headers={**HEADERS, "X-Scope-OrgID": TENANT})
        if status != HTTPStatus.TOO_MANY_REQUESTS:
            return status, text
        time.sleep(0.1)


def push_all(cortex: Backend, series: int, moment: float) -> None:
    """Push a sample of each series."""
    for first in range(0, series, SERIES_OF_A_PUSH):
        status, text = push(cortex, range(first, min(first + SERIES_OF_A_PUSH, series)), moment)
        if status != HTTPStatus.OK:
            raise LimitError(f"a push within the limits was answered {status}: {text}")


def must_refuse(cortex: Backend, number: int, moment: float, what: str) -> None:
    """Push a sample, and raise `LimitError` if it is accepted."""
    if push(cortex, [number], moment)[0] == HTTPStatus.OK:
        raise LimitError(f"{what} was accepted, beyond the limit")


@dataclass(frozen=True)
class Memory:
    """Resident memory in MiB: without series, with all of them, and with late samples of each."""

    idle: int
    full: int
    late: int


def filled(cortex: Backend, series: int, window: int) -> Memory:
    """Push all series some times, and then late samples of each. `window` is how late they may be, in seconds."""
    idle = cortex.memory()
    for _ in range(SCRAPES):
        push_all(cortex, series, time.time())
    must_refuse(cortex, series, time.time(), f"series {series + 1:,}")
    time.sleep(SETTLED_SECONDS)
    full = cortex.memory()
    oldest = time.time() - window
    must_refuse(cortex, 0, oldest - TOO_LATE_SECONDS, "an older sample")
    for scrape in range(LATE_SCRAPES):
        push_all(cortex, series, oldest + window / 2 + scrape * LATE_SECONDS)
    time.sleep(SETTLED_SECONDS)
    return Memory(idle, full, cortex.memory())


def measure() -> list[Figure]:
    """Return the memory of Cortex, with the memory limit of its pod as the target.

    Raises:
        LimitError: a limit of the system tenant is not in force.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
    limits = SYSTEM_DEFAULTS.limits.metrics
    series, window = limits.max_series_per_user or 0, interval_seconds(limits.out_of_order_time_window or "")
    with s3_server() as (endpoint, _), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        cortex = Backend("cortex", Path(folder), endpoint, SYSTEM_DEFAULTS)
        cortex.start()
        try:
            memory = filled(cortex, series, window)
        finally:
            cortex.kill()
    most = amount(SYSTEM_DEFAULTS.pods().metrics.memory_limit) / 2**20
    return [
        Figure("Cortex, no series", memory.idle, "MiB"),
        Figure(f"Cortex, {series:,} series", memory.full, "MiB", most=most),
        Figure("Cortex, late samples of each", memory.late, "MiB", most=most),
    ]


if __name__ == "__main__":
    finish(TITLE, measure())
