"""Bad luck of the collectors, with the configuration that the program renders: what is lost, and what counts it.

A small server stands in for the system tenant: Loki and Cortex cannot be made to give each of these answers. Of their own
answers, test_collector_limits.py has those at a limit, which are 429, and test_alerts_fire.py one that is final.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from pytest_httpserver import HTTPServer

from components.collectors.settings import CLUSTER
from tests.support.cluster_collector import ClusterCollector, scrape_job
from tests.support.collector_faults import (
    FAULT_SECONDS,
    SCRAPES_ALONE,
    Collectors,
    all_arrive,
    counting_target,
    fail_for_a_while,
    log_files,
    lost_scrapes,
)
from tests.support.container_log import Writer, rotate, write
from tests.support.polling import eventually
from tests.support.small_disk import SmallDisk
from tests.support.system_tenant import CUT, HANG, OK, SystemTenant

SHORT_TIMEOUT = {'"timeout": "30s"': '"timeout": "500ms"'}
PART_BYTES, LONG_PARTS = 16_384, 80  # of a line of 1.25 MiB
LONGEST_OF_LOKI = 256_000  # max_line_size, 256KB

KILLS = 3

Disk = Callable[[ClusterCollector], SmallDisk]


def expose(text: str) -> HTTPServer:
    server = HTTPServer("127.0.0.1", 0)
    server.expect_request("/metrics").respond_with_data(text, content_type="text/plain; version=0.0.4")
    server.start()
    return server


def test_nothing_is_lost_while_the_system_tenant_fails(
    system_tenant: SystemTenant, collectors: Collectors, httpserver: HTTPServer
) -> None:
    """It answers 429 and 503, cuts connections, answers nothing, and is down, each for a while."""
    reader = collectors.node(SHORT_TIMEOUT)
    scrapes = counting_target(httpserver)
    scraper = collectors.scraper(httpserver.port, SHORT_TIMEOUT)
    for each in (reader, scraper):
        each.start()
    with Writer(log_files(reader)) as writer:
        eventually(lambda: bool(system_tenant.lines) and "orders_total" in system_tenant.samples, detail=reader.said)
        for status in (429, 503, CUT, HANG):
            fail_for_a_while(system_tenant, status)
        system_tenant.down()
        time.sleep(FAULT_SECONDS)
        system_tenant.up()
    all_arrive(system_tenant, reader, writer.written)
    last = scrapes[-1]
    eventually(lambda: system_tenant.samples["orders_total"][-1] >= last, detail=scraper.said)
    assert lost_scrapes(system_tenant, scrapes[:last]) == set()
    dropped = "Exporting failed. Dropping data"
    assert dropped not in reader.log.read_text() + scraper.log.read_text()


def test_no_line_is_lost_when_the_kubelet_rotates_files_while_nothing_can_be_sent(
    system_tenant: SystemTenant, collectors: Collectors
) -> None:
    """A collector that runs has read each file before the kubelet compresses it."""
    system_tenant.status = 503
    reader = collectors.node()
    reader.start()
    files = log_files(reader)
    with Writer(files) as writer:
        for _ in range(6):
            time.sleep(0.5)
            for file in files:
                rotate(file)
    assert len([*files[0].parent.glob("*.gz")]) == 3
    system_tenant.status = OK
    all_arrive(system_tenant, reader, writer.written)


def test_no_line_is_lost_when_the_kubelet_rotates_files_while_no_collector_runs(
    system_tenant: SystemTenant, collectors: Collectors
) -> None:
    """What the kubelet still has is read later, from compressed files too."""
    reader = collectors.node()
    files = log_files(reader)
    with Writer(files) as writer:
        reader.start()
        eventually(lambda: bool(system_tenant.lines), detail=reader.said)
        reader.kill()
        for _ in range(3):
            time.sleep(0.5)
            for file in files:
                rotate(file)
        reader.start()
    assert [*files[0].parent.glob("*.gz")]
    all_arrive(system_tenant, reader, writer.written)


def test_what_is_in_the_queue_outlives_a_power_failure_and_the_log_files(
    system_tenant: SystemTenant, collectors: Collectors, disk: Disk
) -> None:
    reader = collectors.node()
    small = disk(reader)
    system_tenant.down()
    reader.start()
    files = log_files(reader)
    with Writer(files) as writer:
        eventually(lambda: len(writer.written) > 1000)
    eventually(lambda: reader.has_in_queue([*writer.written][-1]), detail=reader.said)
    reader.kill()
    small.lose_power()
    for file in files:
        file.unlink()
    system_tenant.up()
    reader.start()
    all_arrive(system_tenant, reader, writer.written)


def test_a_scraper_that_is_killed_under_load_loses_no_scrape_but_the_one_in_its_hands(
    system_tenant: SystemTenant, collectors: Collectors, httpserver: HTTPServer
) -> None:
    scrapes = counting_target(httpserver, series=2500)
    scraper = collectors.scraper(httpserver.port)
    for _ in range(KILLS):
        scraper.start()
        before = len(scrapes)
        eventually(lambda: len(scrapes) > before + 2, detail=scraper.said)  # noqa: B023 awaited in this turn
        scraper.kill()
    scraper.start()
    last = len(scrapes) + 1
    eventually(lambda: system_tenant.samples.get("orders_total", [0])[-1] >= last, detail=scraper.said)
    assert len(lost_scrapes(system_tenant, scrapes[:last])) <= KILLS


def test_scrapes_in_the_queue_outlive_a_power_failure(
    system_tenant: SystemTenant, collectors: Collectors, disk: Disk, httpserver: HTTPServer
) -> None:
    scrapes = counting_target(httpserver)
    scraper = collectors.scraper(httpserver.port)
    small = disk(scraper)
    system_tenant.down()
    scraper.start()
    eventually(lambda: len(scrapes) > 4, detail=scraper.said)
    kept = len(scrapes) - 1  # the newest one may still be in the collector's hands
    scraper.kill()
    small.lose_power()
    system_tenant.up()
    scraper.start()
    eventually(lambda: system_tenant.samples.get("orders_total", [0])[-1] > kept, detail=scraper.said)
    assert lost_scrapes(system_tenant, scrapes[:kept]) == set()


def test_a_line_that_no_batch_has_room_for_arrives_in_parts_and_takes_no_other_with_it(
    system_tenant: SystemTenant, collectors: Collectors
) -> None:
    reader = collectors.node()
    file = reader.log_file("shop", "cart-1", "web")
    write(file, *(f"before {number}" for number in range(50)))
    parts = [f"{number:04}" * (PART_BYTES // 4) for number in range(LONG_PARTS)]
    for part in parts:
        write(file, part, tag="P")
    write(file, "end")
    write(file, *(f"after {number}" for number in range(50)))
    reader.start()
    all_arrive(system_tenant, reader, [f"{place} {number}" for place in ("before", "after") for number in range(50)])
    long = [line for line in system_tenant.lines if not line.startswith(("before", "after"))]
    assert "".join(sorted(long)) == "".join([*parts, "end"])
    assert max(map(len, long)) < LONGEST_OF_LOKI


def test_targets_with_endless_texts_cost_the_others_nothing(
    system_tenant: SystemTenant, collectors: Collectors, httpserver: HTTPServer
) -> None:
    """One has an endless label, the other an endless help text."""
    scrapes = counting_target(httpserver)
    endless = "a" * 2 * 2**20
    hostile = [expose(f'orders{{shop="{endless}"}} 1\n'), expose(f"# HELP orders {endless}\norders 1\n")]
    targets = [f"127.0.0.1:{server.port}" for server in (*hostile, httpserver)]
    scraper = collectors.make(
        CLUSTER, SCRAPES_ALONE, {}, extra_scrape=[replace(scrape_job(targets[0]), targets=targets)]
    )
    scraper.start()
    eventually(lambda: scrapes[-1:] > [2], detail=scraper.said)
    last = scrapes[-1]
    eventually(lambda: system_tenant.samples.get("orders_total", [0])[-1] >= last, detail=scraper.said)
    assert lost_scrapes(system_tenant, scrapes[:last]) == set()
    eventually(lambda: "orders" in system_tenant.samples)  # of the target with the help text
    for server in hostile:
        server.stop()


def test_a_target_leads_the_collector_to_no_other_address(
    system_tenant: SystemTenant, collectors: Collectors, httpserver: HTTPServer
) -> None:
    """It answers by a redirect to an address that collectors may reach and others may not."""
    scrapes = counting_target(httpserver)
    hidden = "/ingester/shutdown"
    httpserver.expect_request(hidden).respond_with_data("")
    hostile = HTTPServer("127.0.0.1", 0)
    location = {"location": f"http://127.0.0.1:{httpserver.port}{hidden}"}
    hostile.expect_request("/metrics").respond_with_data("", status=307, headers=location)
    with hostile:
        targets = [f"127.0.0.1:{server.port}" for server in (hostile, httpserver)]
        scraper = collectors.make(
            CLUSTER, SCRAPES_ALONE, {}, extra_scrape=[replace(scrape_job(targets[0]), targets=targets)]
        )
        scraper.start()
        eventually(lambda: scrapes[-1:] > [2] and bool(hostile.log), detail=scraper.said)
        eventually(lambda: {*system_tenant.samples.get("up", [])} == {0, 1}, detail=scraper.said)
    assert {request.path for request, _ in httpserver.log} == {"/metrics"}
