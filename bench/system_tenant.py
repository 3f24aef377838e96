"""Resident memory of a Cortex with as many series as the system tenant may have: `.venv/bin/python -m bench.system_tenant`.

Cortex runs alone over an S3 server on this machine, with its pod's configuration and the defaults of the system tenant. The
series have labels like cAdvisor's. The bench fails if one more series is accepted, or if a pod of the size `small` has too
little memory for all.
"""

import logging
import tempfile
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from bench.machine import machine
from components.config.platform.system_tenant import SYSTEM_DEFAULTS
from components.core.units import amount
from tests.support.backend import TENANT, Backend
from tests.support.remote_write import HEADERS, request
from tests.support.s3_server import s3_server

NAMES, PODS = 100, 1_100
SERIES_OF_A_PUSH, SCRAPES = 4_000, 4
SETTLED_SECONDS = 15


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


def push(cortex: Backend, numbers: Sequence[int]) -> int:
    """Push a sample of each of these series, as soon as the rate admits it; return the status."""
    body = request(*((labels_of(number), [(time.time(), 1.0)]) for number in numbers))
    while True:
        status, _ = cortex.ask("POST", "/api/v1/push", body=body, headers={**HEADERS, "X-Scope-OrgID": TENANT})
        if status != HTTPStatus.TOO_MANY_REQUESTS:
            return status
        time.sleep(0.1)


def filled(cortex: Backend, series: int) -> int:
    """Push all series some times, and return the resident memory in MiB."""
    for _ in range(SCRAPES):
        for first in range(0, series, SERIES_OF_A_PUSH):
            status = push(cortex, range(first, min(first + SERIES_OF_A_PUSH, series)))
            if status != HTTPStatus.OK:
                raise RuntimeError(f"a push within the limits was answered {status}")
    if push(cortex, [series]) == HTTPStatus.OK:
        raise SystemExit(f"series {series + 1:,} was accepted, beyond the limit")
    time.sleep(SETTLED_SECONDS)
    return cortex.memory()


def main() -> None:
    """Measure and print, and exit with 1 if the memory is more than the size has."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
    series = SYSTEM_DEFAULTS.limits.metrics.max_series_per_user or 0
    with s3_server() as (endpoint, _), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        cortex = Backend("cortex", Path(folder), endpoint, SYSTEM_DEFAULTS)
        cortex.start()
        try:
            idle, full = cortex.memory(), filled(cortex, series)
        finally:
            cortex.kill()
    most = int(amount(SYSTEM_DEFAULTS.pods().metrics.memory_limit) / 2**20)
    print(f"{series:,} series: {full} MiB ({idle} MiB idle) of {most} MiB, on {machine()}")
    if full > most:
        raise SystemExit("a pod of this size has too little memory for the series that the limits admit")


if __name__ == "__main__":
    main()
