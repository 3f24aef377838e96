"""Limits of the system tenant in the real Loki and Cortex: data above them waits at the collectors, and data behind it too."""

import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from components.collectors.settings import CLUSTER, NODE
from components.config.tenant import TenantSettings
from components.core.names import SYSTEM
from components.tenant.back_ends.cortex import cortex_limits
from components.tenant.back_ends.loki import loki_limits
from tests.support.backend import Backend
from tests.support.cluster_collector import QUICK, QUICK_READER, ClusterCollector, Surroundings, arguments, scrape_job
from tests.support.collector_faults import (
    FAILED_LINES,
    FAILED_POINTS,
    LOGS_ALONE,
    SCRAPES_ALONE,
    SENT_LINES,
    counting_target,
)
from tests.support.container_log import write
from tests.support.polling import eventually
from tests.support.shell import ROOT
from tests.support.stored import lines, number_of_lines, number_of_samples

RUNBOOK = (ROOT / "docs/how-to/runbooks.md").read_text().partition("### ClusterLogsOld")[2].partition("###")[0]
SETTINGS = dict(re.findall(r"^\| `(\w+)` \| `limits\.logs\.(\w+)` \|$", RUNBOOK, re.MULTILINE))
# By the reason that Loki counts them by: limits that refuse the lines of the test, and what is enough for them.
LOW: dict[str, dict[str, Any]] = {
    "stream_limit": {"max_global_streams_per_user": 1},
    "rate_limited": {"ingestion_rate_mb": 0.01, "ingestion_burst_size_mb": 2},
    "per_stream_rate_limit": {"per_stream_rate_limit": "1KB", "per_stream_rate_limit_burst": "2MB"},
}
HIGH = {"stream_limit": 2, "rate_limited": 8, "per_stream_rate_limit": "8MB"}
WEB, OTHER = '{service_name="web"}', '{service_name="db"}'
LINES = 6000  # of 1,000 characters
WAITED_SECONDS = 3
BACK_SECONDS = 120
REFUSED = "HTTP Status Code 429"

Make = Callable[[str, dict[str, Any]], Backend]


def limit(folder: Path, limits: Mapping[str, Any]) -> None:
    """Give the system tenant's Loki in a folder these limits. It reads them every few seconds."""
    settings = TenantSettings.model_validate({"limits": {"logs": limits}})
    (folder / "runtime.yaml").write_text(json.dumps({"overrides": {SYSTEM: loki_limits(settings, SYSTEM)}}))


@pytest.fixture
def loki(backend: Make) -> Backend:
    return backend("loki", {})


@pytest.fixture
def node(tmp_path: Path, loki: Backend, started: list[ClusterCollector]) -> ClusterCollector:
    """Return a collector of log files alone, which does not run yet."""
    folder = tmp_path / "collector"
    folder.mkdir()
    surroundings = Surroundings({"loki": loki.port}, LOGS_ALONE, changes=QUICK | QUICK_READER)
    started.append(ClusterCollector(folder, NODE, arguments(), surroundings))
    return started[0]


def is_refused(collector: ClusterCollector) -> bool:
    return REFUSED in collector.log.read_text()


@pytest.mark.parametrize("reason", LOW)
def test_lines_above_a_limit_wait_with_those_behind_them_until_the_setting_of_the_runbook_is_raised(
    loki: Backend, node: ClusterCollector, tmp_path: Path, reason: str
) -> None:
    limit(tmp_path, LOW[reason])
    loki.start()
    node.start()
    web, other = (node.log_file("shop", "cart-1", container) for container in ("web", "db"))
    write(other, "first")
    eventually(lambda: lines(loki, OTHER) == ["first"], detail=node.said)
    write(web, *(f"{number} ".ljust(1000, "x") for number in range(LINES)))
    eventually(lambda: is_refused(node), detail=node.said)
    write(other, "behind")
    discarded = rf'^loki_discarded_samples_total{{.*reason="{reason}".*}} [1-9]'
    eventually(lambda: re.search(discarded, loki.ask("GET", "/metrics")[1], re.MULTILINE) is not None)
    time.sleep(WAITED_SECONDS)
    assert lines(loki, OTHER) == ["first"]
    limit(tmp_path, LOW[reason] | {SETTINGS[reason]: HIGH[reason]})
    eventually(lambda: {*lines(loki, OTHER)} == {"first", "behind"}, BACK_SECONDS, detail=node.said)
    eventually(lambda: number_of_lines(loki, WEB) >= LINES, BACK_SECONDS, detail=node.said)
    eventually(lambda: node.own_metric(SENT_LINES) == LINES + 2)
    assert node.own_metric(FAILED_LINES) == 0


def test_samples_above_the_rate_arrive_later(
    backend: Make, tmp_path: Path, started: list[ClusterCollector], httpserver: HTTPServer
) -> None:
    cortex = backend("cortex", {})
    limits = {"ingestion_rate": 500, "ingestion_burst_size": 5000}
    settings = TenantSettings.model_validate({"limits": {"metrics": limits}})
    (tmp_path / "runtime.yaml").write_text(json.dumps({"overrides": {SYSTEM: cortex_limits(settings)}}))
    cortex.start()
    scrapes = counting_target(httpserver, series=1000)
    folder = tmp_path / "collector"
    folder.mkdir()
    args = arguments(extra_scrape=[scrape_job(f"127.0.0.1:{httpserver.port}")])
    surroundings = Surroundings({"cortex": cortex.port}, SCRAPES_ALONE, changes=QUICK)
    started.append(ClusterCollector(folder, CLUSTER, args, surroundings))
    started[0].start()
    eventually(lambda: is_refused(started[0]), detail=started[0].said)
    httpserver.clear()  # further scrapes fail
    last = scrapes[-1]
    eventually(lambda: number_of_samples(cortex, "orders_total") == last, BACK_SECONDS, detail=started[0].said)
    assert started[0].own_metric(FAILED_POINTS) == 0
