"""The collectors' configurations in the real Collector, with the real Loki and Cortex: what arrives, and what a crash loses."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from components.collectors.settings import CLUSTER, NODE
from components.config.tenant import TenantSettings
from components.tenant.back_ends.loki import loki_limits
from tests.support.backend import Backend
from tests.support.cluster_collector import ClusterCollector, Surroundings, arguments, scrape_job
from tests.support.container_log import write
from tests.support.polling import eventually
from tests.support.stack import Stack
from tests.support.stored import TENANT, lines, number_of_lines, series, streams

WEB = '{service_name="web"}'
NO_CLUSTER = ("k8s_attributes", "prometheus", "k8s_cluster", "apiserver")
Make = Callable[[str, dict[str, Any]], Backend]


@pytest.fixture
def loki(backend: Make, tmp_path: Path) -> Backend:
    """Return a Loki with the limits of the system tenant, which does not run yet."""
    made = backend("loki", {})
    limits = loki_limits(TenantSettings(), "system")
    (tmp_path / "runtime.yaml").write_text(json.dumps({"overrides": {"system": limits}}))
    return made


@pytest.fixture
def node(tmp_path: Path, loki: Backend, started: list[ClusterCollector]) -> ClusterCollector:
    """Return a collector of log files alone, which does not run yet."""
    args = arguments(excluded_namespaces=("kube-system",))
    folder = tmp_path / "collector"
    folder.mkdir()
    started.append(ClusterCollector(folder, NODE, args, Surroundings({"loki": loki.port}, NO_CLUSTER)))
    return started[0]


@pytest.mark.parametrize("program", [NODE, CLUSTER])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"logs": False},
        {"excluded_namespaces": ("a", "b")},
        {"extra_scrape": [scrape_job("db.example.com:9187")]},
    ],
    ids=["defaults", "metrics alone", "excluded namespaces", "further targets"],
)
def test_the_collector_takes_its_configuration(tmp_path: Path, program: str, changes: dict[str, Any]) -> None:
    done = ClusterCollector(tmp_path, program, arguments(**changes)).validated()
    assert done.returncode == 0, done.stderr


def test_lines_arrive_with_their_pod_which_is_no_label(loki: Backend, node: ClusterCollector) -> None:
    loki.start()
    write(node.log_file("shop", "cart-1", "web"), "before the collector")
    node.start()
    write(node.log_file("kube-system", "dns-1", "dns"), "excluded")
    file = node.log_file("shop", "cart-1", "web")
    eventually(lambda: lines(loki, '{service_name="web"}') == ["before the collector"], detail=node.said)
    write(file, "a" * 100, tag="P")
    write(file, "b" * 100)
    write(file, "")
    file.open("a").write("another format\n")
    expected = {"before the collector", "a" * 100 + "b" * 100, "", "another format"}
    eventually(lambda: {*lines(loki, '{k8s_namespace_name="shop"}')} == expected, detail=node.said)
    (names,) = ({*json.loads(text)["data"]} for _, text in [loki.ask("GET", "/loki/api/v1/labels", headers=TENANT)])
    assert names == {"service_name", "k8s_namespace_name", "k8s_container_name"}
    metadata = streams(loki, '{service_name="web"} |= "before"')[0]["stream"]
    assert (metadata["k8s_pod_name"], metadata["log_iostream"]) == ("cart-1", "stdout")
    assert metadata["k8s_container_restart_count"] == "0" and "log_file_path" not in metadata
    assert lines(loki, '{k8s_namespace_name="kube-system"}') == []


def test_a_file_that_is_rotated_is_read_to_its_end(loki: Backend, node: ClusterCollector) -> None:
    loki.start()
    node.start()
    file = node.log_file("shop", "cart-1", "web")
    write(file, *(f"line {number}" for number in range(50)))
    file.rename(file.with_name("0.log.20260101-000000"))
    write(file, *(f"line {number}" for number in range(50, 100)))
    expected = [f"line {number}" for number in range(100)]
    eventually(lambda: sorted(lines(loki, '{service_name="web"}'), key=lambda line: int(line[5:])) == expected)


def test_what_waits_in_the_queue_outlives_a_crash_and_the_log_file(loki: Backend, node: ClusterCollector) -> None:
    node.start()
    file = node.log_file("shop", "cart-1", "web")
    expected = [f"line {number}" for number in range(300)]
    write(file, *expected)
    eventually(lambda: node.has_in_queue("line 299"), detail=node.said)
    node.kill()
    file.unlink()
    loki.start()
    node.start()
    eventually(lambda: {*lines(loki, '{service_name="web"}')} == {*expected}, detail=node.said)


@pytest.mark.parametrize("end", [ClusterCollector.kill, ClusterCollector.stop], ids=["killed", "stopped"])
def test_no_line_is_lost_where_the_collector_ends_under_load(
    loki: Backend, node: ClusterCollector, end: Callable[[ClusterCollector], None]
) -> None:
    """Three containers write 1,000 lines/s together. Lines may arrive twice. Each change of the settings stops collectors."""
    loki.start()
    node.start()
    files = [node.log_file("shop", f"cart-{number}", "web") for number in range(3)]
    written: list[str] = []
    ended = threading.Event()

    def load() -> None:
        while not ended.wait(0.05):
            new = [f"line {len(written) + number}" for number in range(50)]
            for place, file in enumerate(files):
                write(file, *new[place::3])
            written.extend(new)

    writer = threading.Thread(target=load)
    writer.start()
    try:
        for _ in range(4):
            time.sleep(2.5)
            end(node)
            node.start()
    finally:
        ended.set()
        writer.join()

    def missing() -> set[str]:
        found = set[str]()
        for ending in (*(f"{number:02}$" for number in range(100)), *(f"line {number}$" for number in range(10))):
            # In parts: Loki answers 5,000 lines at most.
            found.update(lines(loki, f'{{service_name="web"}} |~ "{ending}"'))
        return {*written} - found

    eventually(lambda: number_of_lines(loki, WEB) >= len(written), detail=lambda: (len(written), node.said()))
    # Lines that arrived twice count twice, so the last ones may still be missing.
    eventually(lambda: not missing(), 90, pause=2, detail=lambda: ([*missing()][:5], node.said()))
    assert len(written) > 2000


def test_scraped_series_have_the_labels_of_a_prometheus_and_no_target_info(
    backend: Make, tmp_path: Path, started: list[ClusterCollector], httpserver: HTTPServer
) -> None:
    cortex = backend("cortex", {})
    cortex.start()
    text = (
        '# TYPE orders_total counter\norders_total 7\n# TYPE target_info gauge\ntarget_info{service_name="kubelet"} 1\n'
    )
    httpserver.expect_request("/metrics").respond_with_data(text, content_type="text/plain; version=0.0.4")
    target = f"127.0.0.1:{httpserver.port}"
    folder = tmp_path / "collector"
    folder.mkdir()
    args = arguments(extra_scrape=[scrape_job(target)])
    without = ("k8s_cluster", "apiserver")
    collector = ClusterCollector(folder, CLUSTER, args, Surroundings({"cortex": cortex.port}, without))
    started.append(collector)
    collector.start()
    expected = [{"__name__": "orders_total", "job": "database", "instance": target}]
    eventually(lambda: series(cortex, "orders_total") == expected, detail=collector.said)
    eventually(lambda: series(cortex, 'up{job="database"} == 1') != [], detail=collector.said)
    own = {"job": "collector", "instance": "collector-1", "node": "node-1", "collector": CLUSTER}
    own |= {"__name__": "otelcol_exporter_queue_size", "data_type": "metrics", "exporter": "otlp_http/metrics"}
    eventually(lambda: series(cortex, own["__name__"]) == [own], detail=lambda: series(cortex, own["__name__"]))
    assert series(cortex, "target_info") == []


def test_objects_of_kubernetes_become_series_with_the_labels_of_containers(
    bare_stack: Stack, backend: Make, tmp_path: Path, started: list[ClusterCollector]
) -> None:
    cortex = backend("cortex", {})
    cortex.start()
    bare_stack.run("kubectl", "create", "deployment", "seen", "--image=registry.example.com/seen:1")
    try:
        folder = tmp_path / "collector"
        folder.mkdir()
        environment = {"KUBECONFIG": bare_stack.cloud.kubeconfig}
        without = ("apiserver", "collector", "prometheus")
        surroundings = Surroundings({"cortex": cortex.port}, without, environment)
        collector = ClusterCollector(folder, CLUSTER, arguments(), surroundings)
        started.append(collector)
        collector.start()
        query = 'k8s_deployment_available{namespace="default",deployment="seen",job="kubernetes"}'
        eventually(lambda: len(series(cortex, query)) == 1, detail=collector.said)
        eventually(lambda: len(series(cortex, 'k8s_pod_phase{namespace="default",pod=~"seen-.*"}')) == 1)
        assert series(cortex, "target_info") == []
    finally:
        bare_stack.run("kubectl", "delete", "deployment", "seen")
