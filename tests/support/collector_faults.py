"""Collectors of the cluster before a system tenant that can fail, and what they read."""

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from components.collectors.settings import CLUSTER, NODE, CollectorQueues
from components.core.names import Api
from tests.support.cluster_collector import (
    QUICK,
    QUICK_READER,
    ClusterCollector,
    Surroundings,
    arguments,
    scrape_job,
)
from tests.support.polling import eventually
from tests.support.system_tenant import OK, SystemTenant

LOGS_ALONE = ("k8s_attributes", "prometheus")
SCRAPES_ALONE = ("k8s_cluster", "apiserver", "collector")
SMALL_BYTES = 300_000
FILES, BATCH_LINES = 3, 100  # the receiver's own batches
FAULT_SECONDS = 0.8
ACCEPTED_LINES = "otelcol_receiver_accepted_log_records_total"
REFUSED_LINES = "otelcol_exporter_enqueue_failed_log_records_total"
REFUSED_POINTS = "otelcol_exporter_enqueue_failed_metric_points_total"
FAILED_LINES = "otelcol_exporter_send_failed_log_records_total"
FAILED_POINTS = "otelcol_exporter_send_failed_metric_points_total"
SENT_LINES = "otelcol_exporter_sent_log_records_total"
READING_FILES = "otelcol_fileconsumer_reading_files"
QUEUE_SIZE = "otelcol_exporter_queue_size"
QUEUE_CAPACITY = "otelcol_exporter_queue_capacity"
TAKEN_BYTES = "otelcol_exporter_queue_batch_send_size_bytes_total"


def queue_of(api: Api, size: int = SMALL_BYTES) -> dict[str, str]:
    """Return the change that gives the queue to a back end another size, in bytes."""
    return {f'"queue_size": {CollectorQueues().size(api)}': f'"queue_size": {size}'}


class Collectors:
    """Collectors that send to a tenant, each with a folder of its own below `folder`."""

    def __init__(self, folder: Path, tenant: SystemTenant) -> None:
        self._folder, self.tenant = folder, tenant
        self._made: list[ClusterCollector] = []

    def make(
        self, program: str, without: tuple[str, ...], changes: dict[str, str], **settings: Any
    ) -> ClusterCollector:
        """Return a collector that does not run yet."""
        folder = self._folder / program
        folder.mkdir()
        ports = {"loki": self.tenant.port, "cortex": self.tenant.port}
        quick = QUICK | (QUICK_READER if program == NODE else {})
        surroundings = Surroundings(ports, without, changes=quick | changes)
        self._made.append(ClusterCollector(folder, program, arguments(**settings), surroundings))
        return self._made[-1]

    def node(self, changes: dict[str, str] | None = None) -> ClusterCollector:
        """Return a collector of log files alone."""
        return self.make(NODE, LOGS_ALONE, changes or {})

    def scraper(
        self, port: int, changes: dict[str, str] | None = None, *, watches_itself: bool = False
    ) -> ClusterCollector:
        """Return a collector that scrapes one target on loopback alone, each second, and its own metrics if it watches itself."""
        without = tuple(job for job in SCRAPES_ALONE if not (watches_itself and job == "collector"))
        return self.make(CLUSTER, without, changes or {}, extra_scrape=[scrape_job(f"127.0.0.1:{port}")])

    def kill(self) -> None:
        """End all of them."""
        for each in self._made:
            each.kill()


def log_files(collector: ClusterCollector, count: int = FILES) -> list[Path]:
    """Return the log files of so many containers."""
    return [collector.log_file("shop", f"cart-{number}", "web") for number in range(count)]


def all_arrive(tenant: SystemTenant, collector: ClusterCollector, lines: Collection[str]) -> None:
    """Wait until each of the lines has arrived."""

    def missing() -> list[str]:
        return [line for line in lines if line not in tenant.lines]

    eventually(lambda: not missing(), 90, detail=lambda: (len(missing()), missing()[:3], collector.said()))


def fail_for_a_while(tenant: SystemTenant, status: int) -> None:
    """Let the tenant fail, and wait until it is sent to again."""
    before, tenant.status = tenant.refused, status
    time.sleep(FAULT_SECONDS)
    ended, tenant.status = time.time(), OK
    eventually(lambda: tenant.arrived > ended)
    assert tenant.refused > before


def counting_target(server: HTTPServer, series: int = 1) -> list[int]:
    """Serve a counter that grows by one with each scrape, and further series; return the scrapes so far."""
    scrapes: list[int] = []
    others = "".join(f'other{{number="{number}"}} 1\n' for number in range(series - 1))

    def answer(_: Request) -> Response:
        scrapes.append(len(scrapes) + 1)
        text = f"# TYPE orders_total counter\norders_total {scrapes[-1]}\n{others}"
        return Response(text, content_type="text/plain; version=0.0.4")

    server.expect_request("/metrics").respond_with_handler(answer)
    return scrapes


def lost_scrapes(tenant: SystemTenant, scrapes: list[int]) -> set[int]:
    """Return which scrapes of the counter have not arrived."""
    return {*range(1, scrapes[-1] + 1)} - {*map(int, tenant.samples.get("orders_total", []))}
