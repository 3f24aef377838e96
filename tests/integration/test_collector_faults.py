"""Bad luck of the collectors, with the configuration that the program renders: what is lost, and what counts it.

A small server stands in for the system tenant: Loki and Cortex cannot be made to answer each of these errors. What they
answer themselves is in test_collectors.py.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from components.collectors.export import QUEUE_BYTES
from components.collectors.settings import CLUSTER, NODE
from tests.support.cluster_collector import ClusterCollector, Surroundings, arguments, scrape_job
from tests.support.container_log import Writer, rotate, write
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.small_disk import SmallDisk
from tests.support.system_tenant import CUT, HANG, OK, SystemTenant

LOGS_ALONE = ("k8s_attributes", "prometheus")
SCRAPES_ALONE = ("k8s_cluster", "apiserver", "collector")
# Intervals that are shorter, as everywhere in the tests.
QUICK = {
    '"initial_interval": "1s", "max_interval": "15s"': '"initial_interval": "200ms", "max_interval": "500ms"',
    '"flush_timeout": "1s"': '"flush_timeout": "200ms"',
}
QUICK_READER = {'"poll_interval": "1s"': '"poll_interval": "200ms"', '"max_interval": "5s"': '"max_interval": "1s"'}
SHORT_TIMEOUT = {'"timeout": "30s"': '"timeout": "500ms"'}
SMALL_QUEUE = {f'"queue_size": {QUEUE_BYTES}': '"queue_size": 300000'}
FAULT_SECONDS = 0.8
FILES, BATCH_LINES = 3, 100  # the receiver's own batches
PART_BYTES, LONG_PARTS = 16_384, 80  # of a line of 1.25 MiB
LONGEST_OF_LOKI = 256_000  # max_line_size, 256KB
LINE_CHARACTERS = 250
ACCEPTED_LINES = "otelcol_receiver_accepted_log_records_total"
REFUSED_LINES = "otelcol_exporter_enqueue_failed_log_records_total"
REFUSED_POINTS = "otelcol_exporter_enqueue_failed_metric_points_total"

Started = Callable[..., ClusterCollector]


@pytest.fixture
def tenant() -> Iterator[SystemTenant]:
    """A system tenant that is up."""
    tenant = SystemTenant(free_port())
    tenant.up()
    yield tenant
    tenant.down()


@pytest.fixture
def collector(tmp_path: Path, tenant: SystemTenant) -> Iterator[Callable[..., ClusterCollector]]:
    collectors: list[ClusterCollector] = []

    def make(program: str, without: tuple[str, ...], changes: dict[str, str], **settings: Any) -> ClusterCollector:
        """Return a collector that sends to the tenant, and does not run yet."""
        folder = tmp_path / program
        folder.mkdir()
        ports = {"loki": tenant.port, "cortex": tenant.port}
        quick = QUICK | (QUICK_READER if program == NODE else {})
        surroundings = Surroundings(ports, without, changes=quick | changes)
        collectors.append(ClusterCollector(folder, program, arguments(**settings), surroundings))
        return collectors[-1]

    yield make
    for each in collectors:
        each.kill()


@pytest.fixture
def disk() -> Iterator[Callable[[ClusterCollector], SmallDisk]]:
    disks: list[tuple[ClusterCollector, SmallDisk]] = []

    def make(collector: ClusterCollector) -> SmallDisk:
        """Put the queue of a collector on a disk of its own."""
        disks.append((collector, SmallDisk(collector.folder / "queue", 24)))
        return disks[-1][1]

    yield make
    for collector, each in disks:
        collector.kill()  # or the disk is in use
        each.unmount()


def node(make: Started, changes: dict[str, str] | None = None) -> ClusterCollector:
    """Return a collector of log files alone."""
    return make(NODE, LOGS_ALONE, changes or {})


def log_files(collector: ClusterCollector, count: int = FILES) -> list[Path]:
    return [collector.log_file("shop", f"cart-{number}", "web") for number in range(count)]


def all_arrive(tenant: SystemTenant, collector: ClusterCollector, lines: Collection[str]) -> None:
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


def counting_target(httpserver: HTTPServer, series: int = 1) -> list[int]:
    """Serve a counter that grows by one with each scrape, and further series; return the scrapes so far."""
    scrapes: list[int] = []
    others = "".join(f'other{{number="{number}"}} 1\n' for number in range(series - 1))

    def answer(_: Request) -> Response:
        scrapes.append(len(scrapes) + 1)
        text = f"# TYPE orders_total counter\norders_total {scrapes[-1]}\n{others}"
        return Response(text, content_type="text/plain; version=0.0.4")

    httpserver.expect_request("/metrics").respond_with_handler(answer)
    return scrapes


def expose(text: str) -> HTTPServer:
    server = HTTPServer("127.0.0.1", 0)
    server.expect_request("/metrics").respond_with_data(text, content_type="text/plain; version=0.0.4")
    server.start()
    return server


def test_nothing_is_lost_while_the_system_tenant_fails(
    tenant: SystemTenant, collector: Started, httpserver: HTTPServer
) -> None:
    """It answers 429 and 503, cuts connections, answers nothing, and is down, each for a while."""
    reader = node(collector, SHORT_TIMEOUT)
    scrapes = counting_target(httpserver)
    target = scrape_job(f"127.0.0.1:{httpserver.port}")
    scraper = collector(CLUSTER, SCRAPES_ALONE, SHORT_TIMEOUT, extra_scrape=[target])
    for each in (reader, scraper):
        each.start()
    with Writer(log_files(reader)) as writer:
        eventually(lambda: bool(tenant.lines) and "orders_total" in tenant.samples, detail=reader.said)
        for status in (429, 503, CUT, HANG):
            fail_for_a_while(tenant, status)
        tenant.down()
        time.sleep(FAULT_SECONDS)
        tenant.up()
    all_arrive(tenant, reader, writer.written)
    last = scrapes[-1]
    eventually(lambda: tenant.samples["orders_total"][-1] >= last, detail=scraper.said)
    values = tenant.samples["orders_total"]
    assert {*range(1, last + 1)} - {*values} == set()
    dropped = "Exporting failed. Dropping data"
    assert dropped not in reader.log.read_text() + scraper.log.read_text()


def test_no_line_is_lost_when_the_kubelet_rotates_files_while_nothing_can_be_sent(
    tenant: SystemTenant, collector: Started
) -> None:
    """A collector that runs has read each file before the kubelet compresses it."""
    tenant.status = 503
    reader = node(collector)
    reader.start()
    files = log_files(reader)
    with Writer(files) as writer:
        for _ in range(6):
            time.sleep(0.5)
            for file in files:
                rotate(file)
    assert len([*files[0].parent.glob("*.gz")]) == 3
    tenant.status = OK
    all_arrive(tenant, reader, writer.written)


def test_no_line_is_lost_when_the_kubelet_rotates_files_while_no_collector_runs(
    tenant: SystemTenant, collector: Started
) -> None:
    """What the kubelet still has is read later, from compressed files too."""
    reader = node(collector)
    files = log_files(reader)
    with Writer(files) as writer:
        reader.start()
        eventually(lambda: bool(tenant.lines), detail=reader.said)
        reader.kill()
        for _ in range(3):
            time.sleep(0.5)
            for file in files:
                rotate(file)
        reader.start()
    assert [*files[0].parent.glob("*.gz")]
    all_arrive(tenant, reader, writer.written)


def test_what_is_in_the_queue_outlives_a_power_failure_and_the_log_files(
    tenant: SystemTenant, collector: Started, disk: Callable[[ClusterCollector], SmallDisk]
) -> None:
    reader = node(collector)
    small = disk(reader)
    tenant.down()
    reader.start()
    files = log_files(reader)
    with Writer(files) as writer:
        eventually(lambda: len(writer.written) > 1000)
    store = reader.folder / "queue" / "exporter_otlp_http_logs_logs"
    eventually(lambda: store.exists() and [*writer.written][-1].encode() in store.read_bytes(), detail=reader.said)
    reader.kill()
    small.lose_power()
    for file in files:
        file.unlink()
    tenant.up()
    reader.start()
    all_arrive(tenant, reader, writer.written)


def test_no_line_is_lost_while_the_disk_of_the_queue_is_full(
    tenant: SystemTenant, collector: Started, disk: Callable[[ClusterCollector], SmallDisk]
) -> None:
    reader = node(collector)
    small = disk(reader)
    reader.start()
    files = log_files(reader)
    write(files[0], "first")
    all_arrive(tenant, reader, ["first"])
    small.fill()
    with Writer(files, padding=2000) as writer:
        eventually(lambda: reader.own_metric(REFUSED_LINES) > 20, detail=reader.said)
        reader.kill()  # its place in the files cannot be saved either
        small.free()
        reader.start()
    all_arrive(tenant, reader, writer.written)


@pytest.mark.parametrize(("end", "most"), [(ClusterCollector.kill, 0), (ClusterCollector.stop, FILES * BATCH_LINES)])
def test_lines_that_do_not_fit_into_the_queue_wait_in_their_files(
    tenant: SystemTenant, collector: Started, end: Callable[[ClusterCollector], None], most: int
) -> None:
    """A collector that is told to stop has a batch of each file in its hands, which it counts as sent (Collector 0.149)."""
    tenant.down()
    reader = node(collector, SMALL_QUEUE)
    reader.start()
    with Writer(log_files(reader), padding=200) as writer:
        eventually(lambda: reader.own_metric(REFUSED_LINES) > 0, detail=reader.said)
        end(reader)
        tenant.up()
        reader.start()
        last = [*writer.written][-1]
        eventually(lambda: last in tenant.lines, detail=reader.said)
    all_arrive(tenant, reader, [*writer.written][-50:])
    assert len({*writer.written} - {*tenant.lines}) <= most


def test_samples_that_do_not_fit_into_the_queue_are_counted(
    tenant: SystemTenant, collector: Started, httpserver: HTTPServer
) -> None:
    tenant.down()
    scrapes = counting_target(httpserver, series=2500)
    target = scrape_job(f"127.0.0.1:{httpserver.port}")
    scraper = collector(CLUSTER, SCRAPES_ALONE, SMALL_QUEUE, extra_scrape=[target])
    scraper.start()
    eventually(lambda: scraper.own_metric(REFUSED_POINTS) > 500, detail=scraper.said)
    tenant.up()
    eventually(lambda: tenant.samples.get("orders_total", [0])[-1] == scrapes[-1], detail=scraper.said)
    lost = {*range(1, scrapes[-1])} - {*tenant.samples["orders_total"]}
    counted = scraper.own_metric(REFUSED_POINTS)
    assert lost and len(lost) * 2500 <= counted <= len(lost) * 2510


def test_a_line_that_no_batch_has_room_for_arrives_in_parts_and_takes_no_other_with_it(
    tenant: SystemTenant, collector: Started
) -> None:
    reader = node(collector)
    file = reader.log_file("shop", "cart-1", "web")
    write(file, *(f"before {number}" for number in range(50)))
    parts = [f"{number:04}" * (PART_BYTES // 4) for number in range(LONG_PARTS)]
    for part in parts:
        write(file, part, tag="P")
    write(file, "end")
    write(file, *(f"after {number}" for number in range(50)))
    reader.start()
    all_arrive(tenant, reader, [f"{place} {number}" for place in ("before", "after") for number in range(50)])
    long = [line for line in tenant.lines if not line.startswith(("before", "after"))]
    assert "".join(sorted(long)) == "".join([*parts, "end"])
    assert max(map(len, long)) < LONGEST_OF_LOKI


def test_targets_with_endless_texts_cost_the_others_nothing(
    tenant: SystemTenant, collector: Started, httpserver: HTTPServer
) -> None:
    """One has an endless label, the other an endless help text."""
    scrapes = counting_target(httpserver)
    endless = "a" * 2 * 2**20
    hostile = [expose(f'orders{{shop="{endless}"}} 1\n'), expose(f"# HELP orders {endless}\norders 1\n")]
    targets = [f"127.0.0.1:{server.port}" for server in (*hostile, httpserver)]
    scraper = collector(CLUSTER, SCRAPES_ALONE, {}, extra_scrape=[replace(scrape_job(targets[0]), targets=targets)])
    scraper.start()
    eventually(lambda: scrapes[-1:] > [2], detail=scraper.said)
    last = scrapes[-1]
    eventually(lambda: tenant.samples.get("orders_total", [0])[-1] >= last, detail=scraper.said)
    assert {*range(1, last + 1)} - {*tenant.samples["orders_total"]} == set()
    eventually(lambda: "orders" in tenant.samples)  # of the target with the help text
    for server in hostile:
        server.stop()


def test_the_queue_of_lines_lasts_for_15_minutes_at_1000_lines_a_second(
    tenant: SystemTenant, collector: Started
) -> None:
    """A part of these lines takes no more than its share of the queue."""
    tenant.down()
    reader = node(collector)
    count = 20_000
    for place, file in enumerate(log_files(reader, 10)):
        write(file, *(f"{number} ".ljust(LINE_CHARACTERS, "x") for number in range(place, count, 10)))
    reader.start()
    eventually(lambda: reader.own_metric(ACCEPTED_LINES) == count, detail=reader.said)
    size = reader.own_metric("otelcol_exporter_queue_size")
    seconds = QUEUE_BYTES / (size / count) / 1000
    print(f"{size / count:.0f} bytes a line, {seconds:.0f} s")
    assert seconds >= 900
