"""Requests to S3 and memory of a tenant without clients: `.venv/bin/python -m bench.idle [MINUTES]`, tools cached.

Runs a Cortex and a Loki with their pods' configuration against moto, which records their requests. A month has 30 days.
Prices: 0.005 USD for 1,000 PUT, COPY, POST or LIST requests, 0.0004 USD for 1,000 others (Amazon S3 pricing, us-west-2,
S3 Standard).
"""

import json
import logging
import os
import sys
import tempfile
import time
import urllib.parse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import requests
from rich.console import Console
from rich.table import Table

from bench.machine import machine
from components.config.tenant import TenantSettings
from tests.support.backend import Backend
from tests.support.s3_server import s3_server

logging.getLogger("werkzeug").setLevel(logging.WARNING)

PROGRAMS = ("cortex", "loki")
SETTLING_SECONDS = 60  # requests at the start are not those of an idle tenant
MINUTES_A_MONTH = 30 * 24 * 60
PRICES = {"GET": 0.0004 / 1000, "HEAD": 0.0004 / 1000, "DELETE": 0.0}
OTHER_PRICE = 0.005 / 1000  # also of LIST
MOST_DOLLARS = 0.25
MOST_MIB = 120


class IdleBackend(Backend):
    """A back end that works as rarely as in a pod."""

    waits: ClassVar[Mapping[str, dict[str, Any]]] = {}


def _kind(method: str, url: str) -> tuple[str, str, str]:
    """Return the bucket, the kind of a request and its price class."""
    parts = urllib.parse.urlsplit(url)
    bucket, _, key = parts.path.strip("/").partition("/")
    return bucket, "LIST" if method == "GET" and not key else method, key.split("/")[0]


def _recorded(url: str) -> Counter[tuple[str, str, str]]:
    lines = requests.get(f"{url}/moto-api/recorder/download-recording", timeout=60).text.splitlines()
    entries = [json.loads(line) for line in lines if line]
    return Counter(_kind(entry["method"], entry["url"]) for entry in entries)


def _dollars_a_month(counted: Counter[tuple[str, str, str]], minutes: float) -> float:
    price = sum(number * PRICES.get(kind, OTHER_PRICE) for (_, kind, _), number in counted.items())
    return price / minutes * MINUTES_A_MONTH


def _measured(minutes: float, folder: Path) -> tuple[Counter[tuple[str, str, str]], dict[str, int]]:
    """Return the requests of the minutes by bucket, kind and first part of the key, and each program's MiB."""
    os.environ["MOTO_RECORDER_FILEPATH"] = str(folder / "recording")
    with s3_server() as (url, _):
        backends = []
        try:
            for program in PROGRAMS:
                (folder / program).mkdir()
                backends.append(IdleBackend(program, folder / program, url, TenantSettings()))
                backends[-1].start()
            time.sleep(SETTLING_SECONDS)
            requests.post(f"{url}/moto-api/recorder/reset-recording", timeout=60).raise_for_status()
            requests.post(f"{url}/moto-api/recorder/start-recording", timeout=60).raise_for_status()
            time.sleep(minutes * 60)
            requests.post(f"{url}/moto-api/recorder/stop-recording", timeout=60).raise_for_status()
            memory = {one.name: one.memory() for one in backends}
            return _recorded(url), memory
        finally:
            for backend in backends:
                backend.kill()


def main() -> None:
    """Measure, print the table, and exit with the limits that were missed."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 31.0
    with tempfile.TemporaryDirectory(prefix="idle") as folder:
        counted, memory = _measured(minutes, Path(folder))
    table = Table("bucket", "request", "first part of the key", "each hour", title=machine())
    for (bucket, kind, key), number in sorted(counted.items()):
        table.add_row(bucket, kind, key, f"{number / minutes * 60:.1f}")
    console = Console()
    console.print(table)
    dollars = _dollars_a_month(counted, minutes)
    console.print(f"{dollars:.2f} USD a month at list prices, at most {MOST_DOLLARS}")
    console.print(f"{memory} MiB resident, at most {MOST_MIB} in all")
    missed = [
        *(["requests to S3"] if dollars > MOST_DOLLARS else []),
        *(["memory"] if sum(memory.values()) > MOST_MIB else []),
    ]
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
