"""What a Prometheus and the collector store of the same targets: docs/reference/scraped-series.md lists the differences."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from components.collectors.settings import CLUSTER, ScrapeJob
from components.config.tenant import TenantSettings
from components.tenant.back_ends.cortex import cortex_limits
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.backend import TENANT, Backend
from tests.support.cluster_collector import ClusterCollector, Surroundings, arguments
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.remote_write import HEADERS

JOB = "database"
COLLECTOR, PROMETHEUS = "system", TENANT  # tenants of Cortex
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN_TEXT = "text/plain; version=0.0.4"
EXPOSED_OPEN = """\
# TYPE orders counter
orders_total{shop="a"} ORDERS # {trace_id="abc"} 1
orders_created{shop="a"} 1700000000
# TYPE temperature gauge
temperature{city="Oslo"} -3.5
temperature{city="Rome"} 21
# TYPE seconds histogram
seconds_bucket{le="0.1"} 1 # {trace_id="def"} 0.05
seconds_bucket{le="1.0"} 2
seconds_bucket{le="+Inf"} 3
seconds_count 3
seconds_sum 4.5
# TYPE size_bytes summary
# UNIT size_bytes bytes
size_bytes{quantile="0.5"} 1
size_bytes_count 3
size_bytes_sum 4
# TYPE build info
build_info{version="1"} 1
# TYPE broken unknown
broken NaN
# EOF
"""
EXPOSED_PLAIN = """\
# TYPE visits counter
visits{page="/"} 3
untyped{_hidden="1",empty=""} 5
shop:orders:rate 0.5
two__underscores 1
# TYPE total_of_total_total counter
total_of_total_total 4
# TYPE uneven histogram
uneven_bucket{le="5"} 1
uneven_bucket{le="+Inf"} 2
uneven_sum 7
"""
NUMBERS = ("le", "quantile")
Series = frozenset[tuple[str, str]]


@dataclass
class Targets:
    """Two targets: one exposes OpenMetrics, the other the older text format."""

    open_text: str
    open_metrics: HTTPServer
    plain_text: HTTPServer

    def serve(self) -> None:
        self.open_metrics.expect_request("/metrics").respond_with_handler(
            lambda _: Response(self.open_text, content_type=OPEN_METRICS)
        )
        self.plain_text.expect_request("/metrics").respond_with_data(EXPOSED_PLAIN, content_type=PLAIN_TEXT)

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.0.1:{server.port}" for server in (self.open_metrics, self.plain_text)]


@pytest.fixture
def targets() -> Iterator[Targets]:
    servers = [HTTPServer("127.0.0.1", 0, threaded=True) for _ in range(2)]
    for server in servers:
        server.start()
    targets = Targets(EXPOSED_OPEN.replace("ORDERS", "7"), *servers)
    targets.serve()
    yield targets
    for server in servers:
        if server.is_running():
            server.stop()


@pytest.fixture
def cortex(backend: Callable[..., Backend], tmp_path: Path) -> Backend:
    made = backend("cortex", {})
    limits = cortex_limits(TenantSettings())
    (tmp_path / "runtime.yaml").write_text(json.dumps({"overrides": {COLLECTOR: limits, PROMETHEUS: limits}}))
    made.start()
    return made


@pytest.fixture
def scrapers(cortex: Backend, targets: Targets, httpserver: HTTPServer, tmp_path: Path) -> Iterator[ClusterCollector]:
    """A Prometheus and the collector of the cluster, which scrape the targets and Cortex itself once a second."""

    def forward(request: Request) -> Response:
        """Name the tenant, which Debian's Prometheus 2.42 cannot."""
        headers = {**HEADERS, "X-Scope-OrgID": PROMETHEUS}
        status, text = cortex.ask("POST", "/api/v1/push", body=request.get_data(), headers=headers)
        return Response(text, status)

    httpserver.expect_request("/api/v1/push", method="POST").respond_with_handler(forward)
    every = [*targets.addresses, f"127.0.0.1:{cortex.port}"]
    job = ScrapeJob(job=JOB, targets=every, path="/metrics", scheme="http", interval_seconds=1)
    folder = tmp_path / "collector"
    folder.mkdir()
    surroundings = Surroundings({"cortex": cortex.port}, ("k8s_cluster", "apiserver", "collector"))
    collector = ClusterCollector(folder, CLUSTER, arguments(extra_scrape=[job]), surroundings)
    collector.start()
    prometheus = _prometheus(tmp_path / "prometheus", every, httpserver.url_for("/api/v1/push"))
    yield collector
    collector.kill()
    prometheus.kill()
    prometheus.wait()


def _prometheus(folder: Path, every: list[str], url: str) -> "subprocess.Popen[bytes]":
    folder.mkdir()
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": every}]}],
        "remote_write": [{"url": url, "send_exemplars": True, "send_native_histograms": True}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    command = [str(ensure(catalog.PROMETHEUS) / "prometheus"), "--config.file=prometheus.yml"]
    command += ["--storage.agent.path=data", f"--web.listen-address=127.0.0.1:{free_port()}"]
    command += ["--enable-feature=agent,exemplar-storage"]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def asked(cortex: Backend, tenant: str, path: str, **parameters: Any) -> Any:
    query = urlencode(parameters, doseq=True)
    status, text = cortex.ask("GET", f"/prometheus/api/v1/{path}?{query}", headers={"X-Scope-OrgID": tenant})
    return json.loads(text)["data"] if status == 200 else []


def series(cortex: Backend, tenant: str, instance: str) -> set[Series]:
    found = asked(cortex, tenant, "series", **{"match[]": f'{{instance="{instance}"}}'})
    return {frozenset(labels.items()) for labels in found}


def values(cortex: Backend, tenant: str, query: str) -> list[str]:
    """Return the values of an instant query, sorted."""
    data = asked(cortex, tenant, "query", query=query, time=time.time() + 1)
    return sorted(entry["value"][1] for entry in data["result"]) if data else []


def both(cortex: Backend, query: str) -> tuple[list[str], list[str]]:
    return values(cortex, PROMETHEUS, query), values(cortex, COLLECTOR, query)


def named(found: set[Series]) -> set[str]:
    """Return series as text, without the labels of the target."""
    return {
        ",".join(f"{name}={value}" for name, value in sorted(labels) if name not in ("job", "instance"))
        for labels in found
    }


def test_the_collector_stores_the_series_of_a_prometheus(
    cortex: Backend, scrapers: ClusterCollector, targets: Targets
) -> None:
    """All differences are in docs/reference/scraped-series.md."""
    opened, plain = targets.addresses
    expected = {
        opened: (
            {"__name__=orders_created,shop=a", "__name__=seconds_bucket,le=1.0"},
            {"__name__=seconds_bucket,le=1"},
        ),
        plain: (
            {
                "__name__=two__underscores",
                *(f"__name__=uneven_{rest}" for rest in ("bucket,le=+Inf", "bucket,le=5", "sum")),
            },
            {"__name__=two_underscores"},
        ),
    }

    def differences(instance: str) -> tuple[set[str], set[str]]:
        first, second = (series(cortex, tenant, instance) for tenant in (PROMETHEUS, COLLECTOR))
        return named(first - second), named(second - first)

    def found() -> dict[str, tuple[set[str], set[str]]]:
        return {instance: differences(instance) for instance in expected}

    eventually(lambda: found() == expected, detail=lambda: (found(), scrapers.said()))
    own = f"127.0.0.1:{cortex.port}"

    def alike() -> bool:
        """Return whether both have the series of Cortex, but for the way in which numbers are written."""
        first, second = ({_plain_numbers(one) for one in series(cortex, each, own)} for each in (PROMETHEUS, COLLECTOR))
        return len(first) > 2000 and first == second

    eventually(alike, detail=lambda: differences(own))
    same = ("up", "orders_total", "temperature", "size_bytes", "seconds_bucket", "seconds_sum", "broken", "visits")
    for query in (*same, "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"):
        first, second = (values(cortex, tenant, f'{query}{{instance!="{own}"}}') for tenant in (PROMETHEUS, COLLECTOR))
        assert first and first == second, query
    _compare_exemplars(cortex)
    _compare_what_ends(cortex, targets)


def _compare_exemplars(cortex: Backend) -> None:
    """The collector may store one again with each scrape: those without a time get that of the scrape."""

    def exemplars(tenant: str) -> dict[str, set[str]]:
        query = {"query": f'{{job="{JOB}"}}', "start": time.time() - 100, "end": time.time() + 10}
        return {
            entry["seriesLabels"]["__name__"]: {one["labels"]["trace_id"] for one in entry["exemplars"]}
            for entry in asked(cortex, tenant, "query_exemplars", **query)
        }

    both_series = {"orders_total": {"abc"}, "seconds_bucket": {"def"}}
    eventually(
        lambda: exemplars(PROMETHEUS) == exemplars(COLLECTOR) == both_series, detail=lambda: exemplars(COLLECTOR)
    )


def _compare_what_ends(cortex: Backend, targets: Targets) -> None:
    """A counter begins again, a series is gone, and then the target."""
    targets.open_text = EXPOSED_OPEN.replace("ORDERS", "2").replace('temperature{city="Oslo"} -3.5\n', "")
    eventually(lambda: both(cortex, "temperature") == (["21"], ["21"]), detail=lambda: both(cortex, "temperature"))
    eventually(lambda: both(cortex, "resets(orders_total[2m])") == (["1"], ["1"]))
    targets.open_metrics.stop()
    names = ("temperature", "orders_total", "seconds_bucket", "seconds_sum", "size_bytes", "size_bytes_sum")
    gone = f'{{__name__=~"{"|".join(names)}"}}'
    eventually(lambda: both(cortex, gone) == ([], []), detail=lambda: both(cortex, gone))
    up = f'up{{instance="{targets.addresses[0]}"}}'
    eventually(lambda: both(cortex, up) == (["0"], ["0"]), detail=lambda: both(cortex, up))


def _plain_numbers(labels: Series) -> Series:
    """Return labels with the numbers of buckets and quantiles in one form; Prometheus keeps those of the target."""
    return frozenset((name, str(float(value)) if name in NUMBERS else value) for name, value in labels)
