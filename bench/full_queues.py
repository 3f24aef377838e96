"""What a full queue of a collector costs, if it lets its sender wait and if it refuses: `.venv/bin/python -m bench.full_queues`.

The collector has its pod's configuration with a small queue, and sends to a server in place of the system tenant, which is
down for a while. "Lost" is what never arrives, "counted" what the collector counts as failed. The shipped answer must lose no
line, and no sample that is not counted. Scrapes are due each second: those that are not made are lost too.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_httpserver import HTTPServer
from rich.console import Console
from rich.table import Table

from bench.figure import Figure, finish
from bench.machine import machine
from components.collectors.export import WAITS_FOR_ROOM
from components.core.names import Api
from tests.support.collector_faults import (
    REFUSED_LINES,
    REFUSED_POINTS,
    Collectors,
    counting_target,
    log_files,
    queue_of,
)
from tests.support.container_log import Writer
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.system_tenant import SystemTenant

TITLE = "Full queues"
DOWN_SECONDS, SETTLED_SECONDS = 30, 15
LINE_CHARACTERS, SERIES = 200, 2500
TOLERANCE = {"lines": 0, "scrapes": 2}  # of scrapes: those on their way at the begin and at the end
WAITING = {True: "waits", False: "refuses"}


@dataclass(frozen=True)
class Result:
    """Lines or scrapes: how many were due, how many never arrived, and how many the collector counts as failed."""

    due: int
    lost: int
    counted: int


def _changes(api: Api, *, waits: bool) -> Mapping[str, str]:
    shipped = f'"block_on_overflow": {json.dumps(WAITS_FOR_ROOM[api])}'
    return queue_of(api) | {shipped: f'"block_on_overflow": {json.dumps(waits)}'}


def lines(folder: Path, *, waits: bool) -> Result:
    """Write 1,000 lines/s while the tenant is down, and until it has been up for a while."""
    tenant = SystemTenant(free_port())
    collectors = Collectors(folder, tenant)
    reader = collectors.node(dict(_changes("loki", waits=waits)))
    try:
        reader.start()
        with Writer(log_files(reader), padding=LINE_CHARACTERS) as writer:
            time.sleep(DOWN_SECONDS)
            tenant.up()
        eventually(lambda: [*writer.written][-1] in tenant.lines, detail=reader.said)
        time.sleep(SETTLED_SECONDS)
        lost = {*writer.written} - {*tenant.lines}
        return Result(len(writer.written), len(lost), int(reader.own_metric(REFUSED_LINES)))
    finally:
        collectors.kill()
        tenant.down()


def scrapes(folder: Path, *, waits: bool) -> Result:
    """Scrape a target each second while the tenant is down, and until it has been up for a while."""
    tenant = SystemTenant(free_port())
    collectors = Collectors(folder, tenant)
    with HTTPServer("127.0.0.1", 0) as target:
        made = counting_target(target, SERIES)
        scraper = collectors.scraper(target.port, dict(_changes("cortex", waits=waits)))
        try:
            scraper.start()
            eventually(lambda: bool(made), detail=scraper.said)
            began = time.monotonic()
            time.sleep(DOWN_SECONDS)
            tenant.up()
            time.sleep(SETTLED_SECONDS)
            due, last = int(time.monotonic() - began), made[-1] - 1
            arrived = {*range(1, last + 1)} & {*map(int, tenant.samples.get("orders_total", []))}
            counted = round(scraper.own_metric(REFUSED_POINTS) / SERIES)
            return Result(due, due - len(arrived), counted)
        finally:
            collectors.kill()
            tenant.down()


SIGNALS: Mapping[str, Api] = {"lines": "loki", "scrapes": "cortex"}
MEASUREMENTS = {"lines": lines, "scrapes": scrapes}


def measure() -> list[Figure]:
    """Measure, print the table of both answers for both signals, and return the figures of the shipped ones."""
    table = Table(title=f"{TITLE}, {DOWN_SECONDS} s without the system tenant, on {machine()}", title_justify="left")
    for column in ("signal", "a full queue", "due", "lost", "counted as failed"):
        table.add_column(column)
    figures = []
    for signal, api in SIGNALS.items():
        for waits, word in WAITING.items():
            with tempfile.TemporaryDirectory(prefix="queues", ignore_cleanup_errors=True) as folder:
                result = MEASUREMENTS[signal](Path(folder), waits=waits)
            is_shipped = WAITS_FOR_ROOM[api] == waits
            shown = f"{word}, as shipped" if is_shipped else word
            table.add_row(signal, shown, *(str(number) for number in (result.due, result.lost, result.counted)))
            if is_shipped:
                uncounted = max(0, result.lost - result.counted) if signal == "scrapes" else result.lost
                figures.append(Figure(f"{signal} lost and not counted", uncounted, most=TOLERANCE[signal]))
    Console(width=110).print(table)
    return figures


if __name__ == "__main__":
    finish(TITLE, measure())
