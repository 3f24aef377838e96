"""Requests to S3 and memory of tenants without clients: `.venv/bin/python -m bench.idle [MINUTES]`, as root, tools cached.

Runs back ends with their pods' configuration against moto, which records their requests: those of a new tenant, those of a
tenant that has stored data for six days, and an Alertmanager. Requests of the first minutes are those of a start, and do not
count. Compactors work once an hour, so fewer minutes than by default count too little. A month has 30 days. Prices: 0.005 USD
for 1,000 PUT, COPY, POST or LIST requests, 0.0004 USD for 1,000 others (Amazon S3 pricing, us-west-2, S3 Standard).
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
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
import requests
from rich.console import Console
from rich.table import Table

from bench.figure import Figure, finish
from bench.machine import machine
from bench.pods import AT_AWS, Difference, Memory, PodBackend, cold_copy
from components.core.units import DAY
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.backend import KEYS, TENANT, Backend
from tests.support.remote_write import HEADERS, request
from tests.support.s3_server import s3_server

logging.getLogger("werkzeug").setLevel(logging.WARNING)

PROGRAMS = ("cortex", "loki")
TITLE = "Idle tenants"
NEW, FILLED, ALERTS = "new", "filled", "alertmanager"
SETTLING_MINUTES = 8  # Cortex compacts for the first time in the first 6
MINUTES = 70  # one compaction of each back end, one retention of Loki
MINUTES_A_MONTH = 30 * 24 * 60
PRICES = {"GET": 0.0004 / 1000, "HEAD": 0.0004 / 1000, "DELETE": 0.0}
OTHER_PRICE = 0.005 / 1000  # also of LIST
MOST_DOLLARS = 0.25
MOST_MIB = 120

DAYS = 6  # less than the retention
SERIES = 10


def places(tenant: str) -> dict[str, dict[str, Any]]:
    """Return the part of each program's configuration that names the tenant's own buckets, and this machine."""
    metrics, logs, config = (f"{tenant}-{kind}" for kind in ("metrics", "logs", "config"))
    return {
        "cortex": {
            "ingester": {"lifecycler": {"address": "127.0.0.1"}},
            "blocks_storage": {"s3": {"bucket_name": metrics}},
            "ruler_storage": {"s3": {"bucket_name": config}},
        },
        "loki": {"common": {"storage": {"s3": {"bucketnames": logs}}}},
        "alertmanager": {"alertmanager_storage": {"s3": {"bucket_name": config}}},
    }


class Filler(Backend):
    """A back end with the buckets of the tenant `filled`."""

    changes: Mapping[str, dict[str, Any]] = places(FILLED)


def fill(folder: Path, endpoint: str) -> None:
    """Store samples and lines of some days for the tenant `filled`: a block and an index table for each day."""
    now = time.time()
    moments = [now - days * DAY for days in range(DAYS, -1, -1)]
    for program, push in (("cortex", _push_sample), ("loki", _push_line)):
        (folder / program).mkdir()
        backend = Filler(program, folder / program, endpoint, AT_AWS)
        backend.start()
        try:
            for moment in moments:
                push(backend, moment)
            backend.stop()  # which writes all to the bucket
        finally:
            backend.kill()


def _push_sample(cortex: Backend, moment: float) -> None:
    series = [({"__name__": "up", "number": str(number)}, [(moment, 1.0)]) for number in range(SERIES)]
    headers = {**HEADERS, "X-Scope-OrgID": TENANT}
    status, text = cortex.ask("POST", "/api/v1/push", body=request(*series), headers=headers)
    if status != HTTPStatus.OK:
        raise RuntimeError(text)


def _push_line(loki: Backend, moment: float) -> None:
    stream = {"stream": {"job": "test"}, "values": [[str(int(moment * 1e9)), "a line"]]}
    headers = {"Content-Type": "application/json", "X-Scope-OrgID": TENANT}
    status, text = loki.ask("POST", "/loki/api/v1/push", body=json.dumps({"streams": [stream]}), headers=headers)
    if status != HTTPStatus.NO_CONTENT:
        raise RuntimeError(text)


def _client(endpoint: str) -> Any:
    keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    return boto3.client("s3", KEYS["AWS_REGION"], endpoint_url=endpoint, **keys)


def _make_buckets(endpoint: str) -> None:
    place = {"LocationConstraint": KEYS["AWS_REGION"]}
    for tenant in (NEW, FILLED, ALERTS):
        for kind in ("metrics", "logs", "config"):
            _client(endpoint).create_bucket(Bucket=f"{tenant}-{kind}", CreateBucketConfiguration=place)


def _kind(method: str, url: str) -> tuple[str, str, str]:
    """Return the bucket, the kind of a request and the first part of its key or prefix."""
    parts = urllib.parse.urlsplit(url)
    bucket, _, key = parts.path.strip("/").partition("/")
    if method == "GET" and not key:
        method, key = "LIST", urllib.parse.parse_qs(parts.query).get("prefix", [""])[0]
    return bucket, method, key.split("/")[0]


def _recorded(url: str) -> Counter[tuple[str, str, str]]:
    lines = requests.get(f"{url}/moto-api/recorder/download-recording", timeout=60).text.splitlines()
    entries = [json.loads(line) for line in lines if line]
    return Counter(_kind(entry["method"], entry["url"]) for entry in entries)


def dollars_a_month(counted: Mapping[tuple[str, str, str], int], minutes: float, tenant: str) -> float:
    """Return the list price of the requests to the buckets of a tenant."""
    prices = (
        number * PRICES.get(kind, OTHER_PRICE)
        for (bucket, kind, _), number in counted.items()
        if bucket.startswith(f"{tenant}-")
    )
    return sum(prices) / minutes * MINUTES_A_MONTH


def _start(pods: list[tuple[str, PodBackend]], folder: Path, url: str) -> None:
    """Start the pods one by one, those of the new tenant the first on their node; add each to `pods` with its tenant."""
    files = {
        "cortex": cold_copy(ensure(catalog.CORTEX) / "cortex", folder),
        "loki": cold_copy(ensure(catalog.LOKI) / "loki", folder),
    }
    for tenant, programs in ((NEW, PROGRAMS), (FILLED, PROGRAMS), (ALERTS, ("alertmanager",))):
        (folder / tenant).mkdir()
        for name in programs:
            (folder / tenant / name).mkdir()
            file = files["loki" if name == "loki" else "cortex"]
            pod = PodBackend(name, folder / tenant / name, url, file, Difference(places(tenant)[name]))
            pods.append((tenant, pod))
            pod.start()


def _measured(minutes: float, folder: Path) -> tuple[Counter[tuple[str, str, str]], dict[tuple[str, str], Memory]]:
    """Return the requests by bucket, kind and first part of the key, and the memory of each pod at the end."""
    os.environ["MOTO_RECORDER_FILEPATH"] = str(folder / "recording")
    with s3_server() as (url, _):
        _make_buckets(url)
        (folder / "filling").mkdir()
        fill(folder / "filling", url)
        pods: list[tuple[str, PodBackend]] = []
        try:
            _start(pods, folder, url)
            time.sleep(SETTLING_MINUTES * 60)
            requests.post(f"{url}/moto-api/recorder/start-recording", timeout=60).raise_for_status()
            time.sleep(minutes * 60)
            requests.post(f"{url}/moto-api/recorder/stop-recording", timeout=60).raise_for_status()
            return _recorded(url), {(tenant, pod.name): pod.pod_memory() for tenant, pod in pods}
        finally:
            for _, pod in pods:
                pod.close()


def measure(minutes: float = MINUTES) -> list[Figure]:
    """Measure, print the tables, and return each tenant's price and memory."""
    with tempfile.TemporaryDirectory(prefix="idle") as folder:
        counted, memory = _measured(minutes, Path(folder))
    table = Table("bucket", "request", "first part of the key", "each hour", title=f"Requests to S3, on {machine()}")
    for (bucket, kind, key), number in sorted(counted.items()):
        table.add_row(bucket, kind, key, f"{number / minutes * 60:.1f}")
    pods = Table("tenant", "pod", "working set, MiB", "of it anonymous, MiB", title="Memory as the kubelet counts it")
    for (tenant, name), used in memory.items():
        pods.add_row(tenant, name, f"{used.working_set:.0f}", f"{used.anonymous:.0f}")
    Console().print(table, pods)
    prices = {tenant: dollars_a_month(counted, minutes, tenant) for tenant in (NEW, FILLED, ALERTS)}
    sums = {
        tenant: sum(used.working_set for (its, _), used in memory.items() if its == tenant) for tenant in (NEW, FILLED)
    }
    return [
        *(Figure(f"S3 requests, {tenant}", price, "USD a month", MOST_DOLLARS) for tenant, price in prices.items()),
        *(Figure(f"memory, {tenant}", mebibytes, "MiB", MOST_MIB) for tenant, mebibytes in sums.items()),
    ]


if __name__ == "__main__":
    finish(TITLE, measure(*map(float, sys.argv[1:])))
