"""Full queues of the collectors, with the configuration that the program renders: what waits, and what is lost and counted."""

import gzip
import time
from collections.abc import Callable

import pytest
from pytest_httpserver import HTTPServer

from components.collectors.export import KEPT_DATA_MEBIBYTES, KEPT_FILE_MEBIBYTES
from components.collectors.scrape import SECONDS
from components.collectors.settings import CollectorQueues
from tests.support.cadvisor import exposition
from tests.support.cluster_collector import ClusterCollector
from tests.support.collector_faults import (
    ACCEPTED_LINES,
    BATCH_LINES,
    QUEUE_CAPACITY,
    QUEUE_SIZE,
    READING_FILES,
    REFUSED_LINES,
    REFUSED_POINTS,
    SENT_LINES,
    SMALL_BYTES,
    TAKEN_BYTES,
    Collectors,
    all_arrive,
    counting_target,
    log_files,
    lost_scrapes,
    queue_of,
)
from tests.support.container_log import Writer, write
from tests.support.polling import eventually
from tests.support.system_tenant import SystemTenant

LINE_CHARACTERS = 250
PROMISED_SECONDS = 900  # of 1,000 lines/s and of 100,000 series
SERIES, PROMISED_SERIES = 10_000, 100_000
SCRAPE_SECONDS = 1  # of the tests
BLOCKED_SECONDS = 2  # until each file that has more lines than the queue has room for waits
MIB = 2**20
SMALL_FILES = {
    f'"rebound_needed_threshold_mib": {KEPT_FILE_MEBIBYTES}': '"rebound_needed_threshold_mib": 20',
    f'"rebound_trigger_threshold_mib": {KEPT_DATA_MEBIBYTES}': '"rebound_trigger_threshold_mib": 2',
}


def is_full(reader: ClusterCollector) -> bool:
    """Tell whether a small queue of lines has no room for another batch."""
    return reader.own_metric(QUEUE_SIZE) > 0.8 * SMALL_BYTES


@pytest.mark.parametrize(("end", "most"), [(ClusterCollector.kill, 0), (ClusterCollector.stop, BATCH_LINES)])
def test_lines_that_do_not_fit_into_the_queue_wait_in_their_files(
    system_tenant: SystemTenant, collectors: Collectors, end: Callable[[ClusterCollector], None], most: int
) -> None:
    """A collector that is told to stop loses a batch of each file that it reads (Collector 0.149).

    How many files these are is in its metrics. So the runbook of the alert, `CollectorLinesWait`, says how to count.
    """
    system_tenant.down()
    reader = collectors.node(queue_of("loki"))
    reader.start()
    with Writer(log_files(reader), padding=200) as writer:
        eventually(lambda: is_full(reader) and reader.own_metric(READING_FILES) > 0, detail=reader.said)
        time.sleep(BLOCKED_SECONDS)
        files = reader.own_metric(READING_FILES)
        end(reader)
        system_tenant.up()
        reader.start()
        last = [*writer.written][-1]
        eventually(lambda: last in system_tenant.lines, detail=reader.said)
    all_arrive(system_tenant, reader, [*writer.written][-50:])
    lost = len({*writer.written} - {*system_tenant.lines})
    print(f"{lost} lines of {files:.0f} files lost")
    assert lost <= files * most


def test_lines_that_wait_for_room_are_not_counted_as_lost(system_tenant: SystemTenant, collectors: Collectors) -> None:
    """The alert on lines that wait looks at the size of the queue."""
    system_tenant.down()
    reader = collectors.node(queue_of("loki"))
    reader.start()
    with Writer(log_files(reader), padding=200) as writer:
        eventually(lambda: is_full(reader), detail=reader.said)
        full = len(writer.written)
        eventually(lambda: len(writer.written) > full + 3000)
    assert is_full(reader) and reader.own_metric(REFUSED_LINES) == 0
    assert reader.own_metric(QUEUE_CAPACITY) == SMALL_BYTES
    system_tenant.up()
    all_arrive(system_tenant, reader, writer.written)
    assert reader.own_metric(REFUSED_LINES) == 0


def test_a_queue_counts_the_bytes_that_it_takes_as_it_counts_those_that_it_has(
    system_tenant: SystemTenant, collectors: Collectors
) -> None:
    """By both, the rules tell how old lines are, also after a restart."""
    system_tenant.down()
    reader = collectors.node()
    reader.start()
    file = log_files(reader, 1)[0]

    def has(lines: int) -> bool:
        return reader.own_metric(ACCEPTED_LINES) == lines and reader.own_metric(QUEUE_SIZE) > 0

    write(file, *(f"line {number}" for number in range(200)))
    eventually(lambda: has(200), detail=reader.said)
    waiting = reader.own_metric(QUEUE_SIZE)
    assert reader.own_metric(TAKEN_BYTES) == waiting
    reader.kill()
    reader.start()
    write(file, *(f"line {number}" for number in range(200, 300)))
    eventually(lambda: has(100), detail=reader.said)
    assert reader.own_metric(QUEUE_SIZE) == waiting + reader.own_metric(TAKEN_BYTES)
    system_tenant.up()
    eventually(lambda: reader.own_metric(SENT_LINES) == 300 and reader.own_metric(QUEUE_SIZE) == 0, detail=reader.said)
    assert reader.own_metric(TAKEN_BYTES) > 0


def test_samples_that_do_not_fit_into_the_queue_are_counted(
    system_tenant: SystemTenant, collectors: Collectors, httpserver: HTTPServer
) -> None:
    system_tenant.down()
    scrapes = counting_target(httpserver, series=2500)
    scraper = collectors.scraper(httpserver.port, queue_of("cortex"))
    scraper.start()
    eventually(lambda: scraper.own_metric(REFUSED_POINTS) > 500, detail=scraper.said)
    system_tenant.up()
    eventually(lambda: system_tenant.samples.get("orders_total", [0])[-1] == scrapes[-1], detail=scraper.said)
    last = scrapes[-1]
    lost = lost_scrapes(system_tenant, scrapes[: last - 1])
    counted = scraper.own_metric(REFUSED_POINTS)
    assert lost and len(lost) * 2500 <= counted <= len(lost) * 2510


def test_the_queue_of_lines_lasts_for_15_minutes_at_1000_lines_a_second(
    system_tenant: SystemTenant, collectors: Collectors
) -> None:
    """A part of these lines takes no more than its share of the queue."""
    system_tenant.down()
    reader = collectors.node()
    count = 20_000
    for place, file in enumerate(log_files(reader, 10)):
        write(file, *(f"{number} ".ljust(LINE_CHARACTERS, "x") for number in range(place, count, 10)))
    reader.start()
    eventually(lambda: reader.own_metric(ACCEPTED_LINES) == count, detail=reader.said)
    size = reader.own_metric(QUEUE_SIZE)
    seconds = CollectorQueues().size("loki") / (size / count) / 1000
    print(f"{size / count:.0f} bytes a line, {seconds:.0f} s")
    assert seconds >= PROMISED_SECONDS


def test_the_queue_of_samples_lasts_for_15_minutes_at_100000_series(
    system_tenant: SystemTenant, collectors: Collectors, httpserver: HTTPServer
) -> None:
    """A part of these series takes no more than its share of the queue, scraped at the interval of the containers."""
    system_tenant.down()
    body = gzip.compress(exposition(SERIES).encode(), 1)
    headers = {"content-encoding": "gzip"}
    httpserver.expect_request("/metrics").respond_with_data(
        body, content_type="text/plain; version=0.0.4", headers=headers
    )
    scraper = collectors.scraper(httpserver.port)
    scraper.start()

    def samples() -> float:
        return scraper.own_metric("otelcol_receiver_accepted_metric_points_total")

    eventually(lambda: samples() > 2 * SERIES, detail=scraper.said)
    httpserver.clear()  # the next scrape fails, and ends each series by a sample; after it come few

    def is_quiet() -> bool:
        before = samples()
        time.sleep(3 * SCRAPE_SECONDS)
        return before < samples() < before + SERIES / 10

    eventually(is_quiet, detail=scraper.said)
    size = scraper.own_metric(QUEUE_SIZE)
    seconds = CollectorQueues().size("cortex") / (size / samples() * PROMISED_SERIES / SECONDS)
    print(f"{size / samples():.0f} bytes a sample, {seconds:.0f} s")
    assert seconds >= PROMISED_SECONDS


@pytest.mark.nightly  # a minute
def test_the_file_of_a_queue_gives_its_space_back_after_an_outage(
    system_tenant: SystemTenant, collectors: Collectors
) -> None:
    system_tenant.down()
    reader = collectors.node(SMALL_FILES)
    reader.start()
    store = reader.queue_of_lines
    with Writer(log_files(reader), rate=4000, padding=2000) as writer:
        eventually(lambda: store.exists() and store.stat().st_size > 30 * MIB, detail=reader.said)
    system_tenant.up()
    all_arrive(system_tenant, reader, writer.written)
    eventually(lambda: store.stat().st_size < 20 * MIB, 90, detail=reader.said)
    write(log_files(reader)[0], "after that")
    all_arrive(system_tenant, reader, ["after that"])
