"""CPU, memory and delay of a node's collector, and how long its queues last.

`.venv/bin/python -m bench.collectors [SECONDS]`, as root. `SECONDS` is the length of each measurement, 60 by default. The
targets are for 1,000 lines/s and 100,000 series.

The collector runs with its pod's configuration and GOMEMLIMIT, in a cgroup with the memory limit. It reads log files,
scrapes a server in place of the kubelet's `/metrics/cadvisor`, and sends to a server in place of the system tenant. What needs
a cluster is left out: the processor `k8s_attributes`, and the jobs `kubelet` and `pods`.
"""

import gzip
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figure import Figure, finish
from bench.machine import machine
from components.collectors.pod import GO_MEMORY_SHARE
from components.collectors.settings import KUBELET_PORT, NODE, CollectorQueues
from scripts.clients.back_ends import API_OF_KIND, Kind
from tests.security.cost.cgroup import MIB, PodCgroup, cpu_seconds
from tests.support import http_server
from tests.support.cadvisor import exposition
from tests.support.cluster_collector import ClusterCollector, Surroundings, arguments
from tests.support.container_log import Writer
from tests.support.ports import free_port
from tests.support.system_tenant import SystemTenant

LINES, FILES, CHARACTERS = 1000, 20, 250  # lines a second, of how many containers, and the characters of each
SERIES = 100_000
TITLE = "The collector of a node"
WARM_SECONDS, MEASURED_SECONDS = 40, 60
DEFAULT_LIMIT, LARGE_LIMIT = 512, 2048  # MiB; the first one is the default of `opstrace:collectors`
NO_CLUSTER = ("k8s_attributes", "kubelet", "pods")
FILES_OF_QUEUES: Mapping[Kind, str] = {
    "logs": "exporter_otlp_http_logs_logs",
    "metrics": "exporter_otlp_http_metrics_metrics",
}
MOST_CORES, MOST_LINE_DELAY, MOST_SAMPLE_DELAY, LEAST_QUEUE_SECONDS = 0.5, 10.0, 15.0, 900.0


@dataclass(frozen=True)
class Case:
    """A load on the collector, and the memory limit of its pod in MiB."""

    lines: int
    series: int
    limit: int = DEFAULT_LIMIT


FULL = Case(LINES, SERIES, LARGE_LIMIT)
CASES = (
    Case(0, 0),
    Case(LINES, 0),
    Case(LINES, SERIES // 10),
    Case(LINES, 40_000),
    FULL,
)


@dataclass(frozen=True)
class Figures:
    """What a collector took.

    Attributes:
        cores: CPU time a second.
        memory: The working set at its peak, in MiB.
        kills: How often the kernel ended it at the memory limit.
        line_delays: Seconds from writing a line to its arrival.
        sample_delays: Seconds from a scrape to the arrival of its last samples.
        growth: Bytes a second by which each queue grows while the tenant is down.
        on_disk: Bytes on disk for each byte in the queue.
    """

    cores: float
    memory: float
    kills: int
    line_delays: Sequence[float]
    sample_delays: Sequence[float]
    growth: Mapping[Kind, float]
    on_disk: Mapping[str, float]

    def queue_seconds(self, signal: Kind) -> float:
        """Return how long the queue of a signal lasts while the system tenant is down; 0 if nothing comes."""
        size = CollectorQueues().size(API_OF_KIND[signal])
        return size / self.growth[signal] if self.growth[signal] else 0


@contextmanager
def kubelet(body: bytes) -> Iterator[int]:
    """Answer scrapes with `body`, compressed by gzip as the kubelet does; yields the port."""

    class Answers(http_server.Handler):
        def answer(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-encoding", "gzip")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http_server.Server(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


def measured(case: Case, folder: Path, seconds: float) -> Figures:
    """Run a collector under a load, first with the system tenant and then without, for so many seconds each."""
    with ExitStack() as stack:
        cgroup = PodCgroup(f"bench-collector-{os.getpid()}-{case.lines}-{case.series}", case.limit * MIB)
        stack.callback(cgroup.close)
        tenant = SystemTenant(free_port())
        stack.callback(tenant.down)
        port = stack.enter_context(kubelet(gzip.compress(exposition(case.series).encode(), 1)))
        surroundings = Surroundings(
            {"loki": tenant.port, "cortex": tenant.port},
            NO_CLUSTER,
            environment={"GOMEMLIMIT": str(int(case.limit * MIB * GO_MEMORY_SHARE))},
            changes={f":{KUBELET_PORT}": f":{port}", '"scheme": "https"': '"scheme": "http"'},
            launcher=tuple(cgroup.command([])),
        )
        collector = ClusterCollector(folder, NODE, arguments(), surroundings)
        stack.callback(collector.kill)
        tenant.up()
        collector.start()
        writer = None
        if case.lines:
            files = [collector.log_file("shop", f"web-{number}", "web") for number in range(FILES)]
            writer = stack.enter_context(Writer(files, case.lines, CHARACTERS))
        time.sleep(WARM_SECONDS)
        return _figures(collector, tenant, cgroup, writer.written if writer else {}, seconds)


def _figures(
    collector: ClusterCollector,
    tenant: SystemTenant,
    cgroup: PodCgroup,
    written: Mapping[str, float],
    seconds: float,
) -> Figures:
    tenant.delays.clear()
    began = time.time()
    cpu, peak = _watched(cgroup, seconds)
    delays = [*tenant.delays]
    lines = [tenant.lines[line] - when for line, when in [*written.items()] if when > began and line in tenant.lines]
    tenant.down()
    time.sleep(5)  # until the queues hold all that is collected
    sizes = {name: _queue_size(collector, name) for name in FILES_OF_QUEUES}
    time.sleep(seconds)
    grown = {name: _queue_size(collector, name) for name in FILES_OF_QUEUES}
    files = {name: collector.folder / "queue" / file for name, file in FILES_OF_QUEUES.items()}
    return Figures(
        cores=cpu / seconds,
        memory=max(peak, cgroup.used()) / MIB,
        kills=cgroup.kills(),
        line_delays=lines,
        sample_delays=delays,
        growth={name: (grown[name] - size) / seconds for name, size in sizes.items()},
        on_disk={name: file.stat().st_size / grown[name] for name, file in files.items() if grown[name]},
    )


def _watched(cgroup: PodCgroup, seconds: float) -> tuple[float, float]:
    """Wait for the time of a measurement; return the seconds of CPU, and the peak of the bytes in use."""
    before, peak = cpu_seconds(cgroup.cpu_file), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        peak = max(peak, cgroup.used())
        time.sleep(0.25)
    return cpu_seconds(cgroup.cpu_file) - before, peak


def _queue_size(collector: ClusterCollector, signal: str) -> float:
    """Return the bytes in a queue, by the collector's own metric."""
    return collector.own_metric("otelcol_exporter_queue_size", data_type=signal)


def _percentile(delays: Sequence[float], percent: int) -> float:
    """Return a percentile in seconds; infinite if nothing arrived."""
    if len(delays) <= 1:
        return math.inf
    return statistics.quantiles(delays, n=100, method="inclusive")[percent - 1]


def _percentiles(delays: Sequence[float]) -> str:
    """Return the median, the 99th percentile and the maximum, in seconds."""
    if len(delays) <= 1:
        return ""
    return f"{_percentile(delays, 50):.1f}, {_percentile(delays, 99):.1f}, {max(delays):.1f}"


def _row(case: Case, figures: Figures) -> list[str]:
    """Return a row of the table."""
    lasts = [
        f"{signal}: {growth / 1000:.0f} kB/s, {figures.queue_seconds(signal):,.0f} s"
        for signal, growth in figures.growth.items()
        if growth and (case.lines if signal == "logs" else case.series)
    ]
    return [
        f"{case.lines:,}",
        f"{case.series:,}",
        f"{figures.cores:.2f}",
        f"{figures.memory:.0f} of {case.limit}" + (f", killed {figures.kills} times" if figures.kills else ""),
        _percentiles(figures.line_delays),
        _percentiles(figures.sample_delays),
        "\n".join(lasts),
        "\n".join(f"{signal}: {share:.2f}" for signal, share in figures.on_disk.items()),
    ]


COLUMNS = (
    "lines/s",
    "series",
    "cores",
    "memory, MiB",
    "line delay, s",
    "sample delay, s",
    "queue fills in",
    "disk/queue",
)


def _targets(figures: Figures) -> list[Figure]:
    """Return the figures of the full load with their targets."""
    load = f"collector, {LINES:,} lines/s and {SERIES:,} series"
    return [
        Figure(f"{load}: processor", figures.cores, "cores", most=MOST_CORES),
        Figure(f"{load}: memory", figures.memory, "MiB", most=FULL.limit * GO_MEMORY_SHARE),
        Figure(f"{load}: ends at the memory limit", figures.kills, most=0),
        Figure(f"{load}: delay of lines, p99", _percentile(figures.line_delays, 99), "s", most=MOST_LINE_DELAY),
        Figure(
            f"{load}: delay of samples, most", max(figures.sample_delays, default=math.inf), "s", most=MOST_SAMPLE_DELAY
        ),
        *(
            Figure(f"{load}: queue of {signal}", figures.queue_seconds(signal), "s", least=LEAST_QUEUE_SECONDS)
            for signal in API_OF_KIND
        ),
    ]


def measure(seconds: float = MEASURED_SECONDS) -> list[Figure]:
    """Measure, print the table of all loads, and return the figures of the full one."""
    table = Table(title=f"{TITLE}, on {machine()}", title_justify="left")
    for column in COLUMNS:
        table.add_column(column)
    results = {}
    for case in CASES:
        with tempfile.TemporaryDirectory(prefix="collectors", ignore_cleanup_errors=True) as folder:
            results[case] = measured(case, Path(folder), seconds)
        table.add_row(*_row(case, results[case]))
    console = Console(width=140)
    console.print(table)
    console.print(f"Lines have {CHARACTERS} characters. Delays are the median, the 99th percentile and the maximum.")
    return _targets(results[FULL])


if __name__ == "__main__":
    finish(TITLE, measure(*map(float, sys.argv[1:])))
