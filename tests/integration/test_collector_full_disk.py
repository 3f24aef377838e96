"""The disk of a collector's queues is full: what waits, what is lost and counted, and what needs a restart.

A refused write takes its size from the queue's room until the queue has drained (Collector 0.149, persistent_queue.go). If
refused writes have taken all of it, nothing more is written, and no write wakes up the sender. One test holds this down: it
fails with a Collector that does better, and then the page on guarantees and the runbooks need no kill.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from components.collectors.rules.selectors import series
from components.collectors.rules.watching import FULL, LATELY
from localcloud.supervisor import until
from tests.support.cluster_collector import QUICK_SCRAPES, ClusterCollector
from tests.support.collector_faults import (
    QUEUE_CAPACITY,
    QUEUE_SIZE,
    REFUSED_LINES,
    REFUSED_POINTS,
    SENT_LINES,
    Collectors,
    all_arrive,
    counting_target,
    log_files,
    lost_scrapes,
    queue_of,
)
from tests.support.container_log import Writer, write
from tests.support.platform_rules import OLD, SystemCortex
from tests.support.polling import eventually
from tests.support.relay import WAY, Relay
from tests.support.small_disk import SmallDisk
from tests.support.system_tenant import SystemTenant

OFTEN = {'"enabled": true, "max_interval": "1s"': '"enabled": true, "max_interval": "200ms"'}  # the reader's retries
LEAKED_BYTES = 1_000_000  # of a queue
STUCK_SECONDS = 5
LOSES_SECONDS = 120  # until a queue has lost a scrape: one outage is often enough
LINES = 1500
POINTS = "metric_points"
SERIES = 2500  # of a scrape: several of them have one page of the file, which the queue writes anew to hand one out

Disk = Callable[[ClusterCollector], SmallDisk]


def restart(collector: ClusterCollector) -> None:
    """Do what the runbook of `CollectorLinesWait` says: a collector that is told to stop would lose lines."""
    collector.kill()
    collector.start()


def read_from_a_disk(system_tenant: SystemTenant, reader: ClusterCollector, disk: Disk) -> tuple[SmallDisk, list[Path]]:
    """Start a reader whose queue has a disk of its own, and wait for its first line; return the disk and the log files."""
    small = disk(reader)
    reader.start()
    files = log_files(reader)
    write(files[0], "first")
    all_arrive(system_tenant, reader, ["first"])
    return small, files


@pytest.mark.parametrize("then", [restart, lambda _: None], ids=["restarted", "left alone"])
def test_no_line_is_lost_while_the_disk_of_the_queue_is_full(
    system_tenant: SystemTenant, collectors: Collectors, disk: Disk, then: Callable[[ClusterCollector], None]
) -> None:
    reader = collectors.node()
    small, files = read_from_a_disk(system_tenant, reader, disk)
    small.fill()
    with Writer(files, padding=2000) as writer:
        eventually(lambda: reader.own_metric(REFUSED_LINES) > 200, detail=reader.said)
        small.free()
        then(reader)  # its place in the files could not be saved either
    all_arrive(system_tenant, reader, writer.written)


def test_what_is_in_the_queue_is_sent_while_its_disk_is_full(
    system_tenant: SystemTenant, collectors: Collectors, disk: Disk
) -> None:
    system_tenant.down()
    reader = collectors.node()
    small = disk(reader)
    reader.start()
    with Writer(log_files(reader), padding=200) as writer:
        eventually(lambda: len(writer.written) > 3000)
    eventually(lambda: reader.has_in_queue([*writer.written][-1]), detail=reader.said)
    small.fill()
    system_tenant.up()
    all_arrive(system_tenant, reader, writer.written)


def test_a_queue_of_lines_whose_room_a_full_disk_took_fires_alerts_until_a_restart(
    system_tenant: SystemTenant, collectors: Collectors, disk: Disk
) -> None:
    """`CollectorLinesWait` looks at the size of the queue, `ClusterLogsOld` at that and at what is sent."""
    reader = collectors.node(queue_of("loki", LEAKED_BYTES) | OFTEN)
    small, files = read_from_a_disk(system_tenant, reader, disk)
    small.fill()

    def is_stuck() -> bool:
        size = reader.own_metric(QUEUE_SIZE)
        time.sleep(STUCK_SECONDS)
        return reader.own_metric(QUEUE_SIZE) == size > FULL * reader.own_metric(QUEUE_CAPACITY) > 0

    written = [f"line {number} ".ljust(200, "x") for number in range(LINES)]
    for place, file in enumerate(files):
        write(file, *written[place :: len(files)])
    eventually(is_stuck, detail=reader.said)
    small.free()
    sent = reader.own_metric(SENT_LINES)
    assert is_stuck() and reader.own_metric(SENT_LINES) == sent
    restart(reader)
    all_arrive(system_tenant, reader, written)


def lose_scrapes(
    scraper: ClusterCollector, small: SmallDisk, scrapes: list[int], *, down: Callable[[], None], up: Callable[[], None]
) -> int:
    """Fill the disk of a queue that has scrapes, until it has lost some; return how many there were by then.

    `down` and `up` end and start what the scraper sends to. What a queue loses depends on what came and went before, so
    this can take several outages.
    """

    def loses() -> bool:
        refused, waiting = scraper.own_metric(REFUSED_POINTS), len(scrapes) + 3
        down()
        eventually(lambda: len(scrapes) > waiting, detail=scraper.said)
        small.fill()
        eventually(lambda: scraper.own_metric(REFUSED_POINTS) > refused, detail=scraper.said)
        up()
        last = len(scrapes) + 1
        eventually(lambda: len(scrapes) > last, detail=scraper.said)
        small.free()
        return until(lambda: scraper.vanished(POINTS) > 0, STUCK_SECONDS, 0.5)

    eventually(loses, LOSES_SECONDS, detail=scraper.said)
    return len(scrapes)


def test_scrapes_that_a_full_disk_refuses_or_lets_vanish_are_counted(
    system_tenant: SystemTenant, collectors: Collectors, disk: Disk, httpserver: HTTPServer
) -> None:
    """What vanishes is neither sent nor in the queue: `CollectorQueueLost` looks at that."""
    scrapes = counting_target(httpserver, series=SERIES)
    scraper = collectors.scraper(httpserver.port)
    small = disk(scraper)
    scraper.start()
    eventually(lambda: "orders_total" in system_tenant.samples, detail=scraper.said)
    last = lose_scrapes(scraper, small, scrapes, down=system_tenant.down, up=system_tenant.up)

    def lost() -> tuple[int, float, float]:
        """Return how many samples did not arrive, how many were refused, and how many vanished."""
        missing = len(lost_scrapes(system_tenant, scrapes[:last])) * SERIES
        return missing, scraper.own_metric(REFUSED_POINTS), scraper.vanished(POINTS)

    def are_counted() -> bool:
        missing, refused, gone = lost()
        return system_tenant.samples["orders_total"][-1] > last and gone > 0 and missing <= refused + gone

    eventually(are_counted, detail=lambda: (lost(), scraper.said()))


@pytest.mark.nightly
@pytest.mark.fires("CollectorQueueLost")
def test_an_alert_fires_when_a_queue_loses_scrapes(
    system_cortex: SystemCortex, collectors: Collectors, disk: Disk, httpserver: HTTPServer, expected: set[str]
) -> None:
    way = Relay(WAY, system_cortex.port)
    scrapes = counting_target(httpserver, series=SERIES)
    by_relay = {f"http://127.0.0.1:{collectors.tenant.port}/api": f"http://{WAY}:{system_cortex.port}/api"}
    scraper = collectors.scraper(httpserver.port, by_relay | QUICK_SCRAPES, watches_itself=True)
    small = disk(scraper)
    try:
        scraper.start()
        runs = f"{series('collector', 'otelcol_process_uptime_seconds_total')} > {LATELY * OLD}"
        system_cortex.until(lambda: system_cortex.returns(runs), 3 * LATELY * OLD)
        lost = {(alert, "otlp_http/metrics") for alert in expected}
        assert not lost & system_cortex.firing("exporter")
        lose_scrapes(scraper, small, scrapes, down=way.cut, up=way.restore)
        eventually(lambda: lost <= system_cortex.firing("exporter"), detail=scraper.said)
        eventually(lambda: not lost & system_cortex.firing("exporter"), 3 * LATELY * OLD, detail=scraper.said)
    finally:
        way.close()
