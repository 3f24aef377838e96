"""Memory of idle pods with other settings: `.venv/bin/python -m bench.idle_memory`, as root, tools cached.

Each back end runs in a cgroup of its own over moto, as in its pod, some minutes after a few series or streams were pushed. The
first of a program is charged for the program's pages, as the first pod on a node that runs the image; the others share them.
"""

import logging
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figure import Figure, finish
from bench.machine import machine
from bench.memory import push_lines, push_samples
from bench.pods import Difference, Memory, PodBackend, cold_copy
from components.config.base import merged
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.s3_server import s3_server

TITLE = "Memory of idle pods"
IDLE_SECONDS = 180
AS_SHIPPED = "as shipped"
MOST_MIB = {"cortex": 35, "loki": 85}  # the working set as shipped; together as much as bench.idle admits for a tenant
LITTLE = {"cortex": 10, "loki": 1}  # series, streams
HERE: Mapping[str, Any] = {"ingester": {"lifecycler": {"address": "127.0.0.1"}}}
CACHES = (
    "results",
    "index_stats_results",
    "volume_results",
    "series_results",
    "label_results",
    "instant_metric_results",
)
SMALL_TSDB = {"stripe_size": 512, "head_chunks_write_buffer_size_bytes": 65536}
FEATURES_OFF = {"distributor": {"ha_tracker": {"enable_ha_tracker": False}}}
SETTINGS: Mapping[str, Mapping[str, Difference]] = {
    "cortex": {
        "as shipped, the first on a node": Difference(),
        AS_SHIPPED: Difference(),
        "GOGC=50": Difference(environment={"GOGC": "50"}),
        "TSDB: stripe size 512, write buffer 64 KiB": Difference({"blocks_storage": {"tsdb": SMALL_TSDB}}),
        "index headers loaded lazily": Difference(
            {"blocks_storage": {"bucket_store": {"index_header_lazy_loading_enabled": True}}}
        ),
        "without pairs of Prometheus": Difference(FEATURES_OFF),
    },
    "loki": {
        "as shipped, the first on a node": Difference(),
        AS_SHIPPED: Difference(),
        "GOGC=50": Difference(environment={"GOGC": "50"}),
        "GOMEMLIMIT=40MiB": Difference(environment={"GOMEMLIMIT": "40MiB"}),
        "without patterns of lines": Difference({"pattern_ingester": {"enabled": False}}),
        "without caches of results": Difference({"query_range": {f"cache_{name}": False for name in CACHES}}),
        "2 queriers in place of 4": Difference({"querier": {"max_concurrent": 2}}),
        "10 deleting workers in place of 150": Difference({"compactor": {"retention_delete_worker_count": 10}}),
    },
}


def _used(program: str, folder: Path, url: str) -> dict[str, Memory]:
    """Run a program with each of its settings at the same time; return the memory of each."""
    tool = catalog.LOKI if program == "loki" else catalog.CORTEX
    file = cold_copy(ensure(tool) / program, folder)
    push = push_lines if program == "loki" else push_samples
    pods: dict[str, PodBackend] = {}
    try:
        for number, (name, difference) in enumerate(SETTINGS[program].items()):
            place = folder / f"{program}{number}"
            place.mkdir()
            here = Difference(merged(dict(HERE), dict(difference.change)), difference.environment)
            pods[name] = PodBackend(program, place, url, file, here)
            pods[name].start()
            push(pods[name], LITTLE[program])
        time.sleep(IDLE_SECONDS)
        return {name: pod.pod_memory() for name, pod in pods.items()}
    finally:
        for pod in pods.values():
            pod.close()


def measure() -> list[Figure]:
    """Measure, print the table of all settings, and return the working sets of the pods as shipped."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
    table = Table(title=f"Memory of idle pods in MiB, on {machine()}", title_justify="left")
    for column in ("back end", "setting", "working set", "anonymous", "resident"):
        table.add_column(column)
    figures = []
    with s3_server() as (url, _), tempfile.TemporaryDirectory(prefix="idle", ignore_cleanup_errors=True) as folder:
        for program, most in MOST_MIB.items():
            used = _used(program, Path(folder), url)
            for name, one in used.items():
                cells = (one.working_set, one.anonymous, one.resident)
                table.add_row(program, name, *(f"{figure:.0f}" for figure in cells))
            figures.append(Figure(f"{program}, idle, {AS_SHIPPED}", used[AS_SHIPPED].working_set, "MiB", most))
    Console(width=110).print(table)
    return figures


if __name__ == "__main__":
    finish(TITLE, measure())
