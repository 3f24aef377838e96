"""Resident memory of a tenant's Cortex and Loki, with and without what is on by default: `.venv/bin/python -m bench.memory`.

Each back end runs alone over an S3 server on this machine, with its pod's configuration and the tests' shorter intervals.
"Off" is the back end's own default. "Idle" is a minute after a few series or streams were pushed; "busy" is 15 s after
many were. The targets are for what is on by default: what it takes in addition while idle, and all memory while busy.
"""

import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import urllib3

from bench.figure import Figure, finish
from components.config.base import merged
from components.config.tenant import TenantSettings
from tests.support.backend import TENANT, Backend
from tests.support.remote_write import HEADERS, with_exemplar
from tests.support.s3_server import make_buckets, s3_server

TITLE = "Memory of the back ends"
IDLE_SECONDS, BUSY_SECONDS = 60, 15
MOST_IDLE_MORE = 16  # MiB that features take in addition
SERIES, EXEMPLARS = 2000, 100_000
STREAMS, KINDS, LINES_OF_A_KIND, WORDS_OF_A_LINE = 300, 100, 5, 8
WORDS = (
    "order",
    "user",
    "paid",
    "cart",
    "login",
    "failed",
    "timeout",
    "retry",
    "cache",
    "miss",
    "disk",
    "full",
    "slow",
)


def push_samples(cortex: Backend, count: int) -> None:
    """Push samples with exemplars, one a request, to at most `SERIES` series."""
    headers = {**HEADERS, "X-Scope-OrgID": TENANT}
    for number in range(count):
        series = ({"__name__": "requests_bucket", "number": str(number % SERIES)}, [(time.time(), 1.0)])
        body = with_exemplar(series, {"trace_id": f"{number:032x}"})
        status, text = cortex.ask("POST", "/api/v1/push", body=body, headers=headers)
        if status != HTTPStatus.OK:
            raise RuntimeError(text)


def push_lines(loki: Backend, streams: int) -> None:
    """Push lines of many kinds, which differ in words and in numbers."""
    headers = {"Content-Type": "application/json", "X-Scope-OrgID": TENANT}
    for stream in range(streams):
        kinds = [_words(stream * KINDS + number) for number in range(KINDS)]
        lines = [f"{kind} id={number}" for kind in kinds for number in range(LINES_OF_A_KIND)]
        values = [[str(time.time_ns() + number), line] for number, line in enumerate(lines)]
        body = json.dumps({"streams": [{"stream": {"app": str(stream)}, "values": values}]})
        status, text = loki.ask("POST", "/loki/api/v1/push", body=body, headers=headers)
        if status != HTTPStatus.NO_CONTENT:
            raise RuntimeError(text)


def _words(number: int) -> str:
    """Return words that differ from those of other numbers."""
    words = []
    for _ in range(WORDS_OF_A_LINE):
        number, place = divmod(number, len(WORDS))
        words.append(WORDS[place])
    return " ".join(words)


@dataclass(frozen=True)
class Case:
    """A back end, what turns its features off, and how data comes: a little, and much.

    Attributes:
        most: The target of the busy back end with its features, in MiB.
    """

    program: str
    config_off: Mapping[str, Any]
    limits_off: Mapping[str, Any]
    push: Callable[[Backend, int], None]
    little: int
    much: int
    load: str
    most: int


LIMITS_OFF = {"enable_native_histograms": False, "max_exemplars": -1, "out_of_order_time_window": "0"}
CASES = (
    Case(
        "cortex",
        {"distributor": {"ha_tracker": {"enable_ha_tracker": False}}},
        LIMITS_OFF | {"accept_ha_samples": False},
        push_samples,
        10,
        EXEMPLARS,
        f"{SERIES:,} series, {EXEMPLARS:,} exemplars",
        192,
    ),
    Case(
        "loki",
        {"pattern_ingester": {"enabled": False}},
        {},
        push_lines,
        1,
        STREAMS,
        f"{STREAMS} streams of {KINDS} kinds of lines",
        512,
    ),
)


def measured(case: Case, endpoint: str, *, on: bool) -> tuple[int, int]:
    """Return the resident memory in MiB, idle and busy."""
    urllib3.request("POST", f"{endpoint}/moto-api/reset")
    make_buckets(endpoint)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        backend = Backend(case.program, Path(folder), endpoint, TenantSettings())
        if not on:
            _add(Path(folder) / "config.yaml", case.config_off)
            _add(Path(folder) / "runtime.yaml", {"overrides": {TENANT: case.limits_off}})
        backend.start()
        try:
            case.push(backend, case.little)
            time.sleep(IDLE_SECONDS)
            idle = backend.memory()
            case.push(backend, case.much)
            time.sleep(BUSY_SECONDS)
            return idle, backend.memory()
        finally:
            backend.kill()


def _add(file: Path, values: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(merged(json.loads(file.read_text()), dict(values))))


def _figures(case: Case, endpoint: str) -> list[Figure]:
    """Measure a back end without its features and with them."""
    (idle_off, busy_off), (idle, busy) = (measured(case, endpoint, on=on) for on in (False, True))
    return [
        Figure(f"{case.program}, features off, idle", idle_off, "MiB"),
        Figure(f"{case.program}, features on, idle", idle, "MiB", most=idle_off + MOST_IDLE_MORE),
        Figure(f"{case.program}, features off, {case.load}", busy_off, "MiB"),
        Figure(f"{case.program}, features on, {case.load}", busy, "MiB", most=case.most),
    ]


def measure() -> list[Figure]:
    """Return the memory of each back end, idle and busy."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
    with s3_server() as (endpoint, _):
        return [figure for case in CASES for figure in _figures(case, endpoint)]


if __name__ == "__main__":
    finish(TITLE, measure())
