"""What Prometheus sends beside plain samples, by the real Cortex: out-of-order samples, exemplars, pairs, histograms."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from components.config.platform.system_tenant import SYSTEM_DEFAULTS
from components.config.tenant import TenantSettings
from components.core.units import interval_seconds
from components.tenant.back_ends.cortex import cortex_limits
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.backend import TENANT, Backend
from tests.support.ports import free_ports
from tests.support.remote_write import HEADERS, request, with_exemplar
from tests.support.s3_server import empty

Make = Callable[[str, dict[str, Any]], Backend]
PUSH: dict[str, Any] = {"headers": {**HEADERS, "X-Scope-OrgID": TENANT}}
UP = {"__name__": "up", "job": "test"}
BLOCK_SECONDS = 7200  # of time, which a block covers, from an even hour on (UTC)


@pytest.fixture
def bucket(s3: tuple[str, Any]) -> Callable[[], set[str]]:
    """An empty bucket, so that no blocks of other tests are merged with those of this one; returns its blocks' names."""

    def keys() -> list[str]:
        return [entry["Key"] for entry in s3[1].list_objects_v2(Bucket="metrics").get("Contents", [])]

    empty(s3[1], "metrics")
    return lambda: {key.split("/")[1] for key in keys() if key.endswith("/meta.json")}


@pytest.fixture
def cortex(backend: Make, bucket: Callable[[], set[str]]) -> Backend:
    running = backend("cortex", {})
    running.start()
    return running


def push(cortex: Backend, body: bytes) -> tuple[int, str]:
    return cortex.ask("POST", "/api/v1/push", body=body, **PUSH)


def found(cortex: Backend, path: str, /, **parameters: Any) -> Any:
    """Return the data of an answer, None without one."""
    status, text = cortex.ask("GET", f"/prometheus/api/v1/{path}?{urlencode(parameters)}")
    return json.loads(text)["data"] if status == 200 else None


def results(cortex: Backend, expression: str) -> list[dict[str, Any]]:
    """Return the result of an instant query; Cortex cuts the time to seconds."""
    data = found(cortex, "query", query=expression, time=time.time() + 1)
    return list(data["result"]) if data else []


def values(cortex: Backend, expression: str) -> list[float]:
    return [float(entry["value"][1]) for entry in results(cortex, expression)]


def set_limits(folder: Path, **limits: Any) -> None:
    """Change the tenant's limits as an update does, while Cortex runs."""
    settings = TenantSettings.model_validate({"limits": {"metrics": limits}})
    (folder / "runtime.yaml").write_text(json.dumps({"overrides": {TENANT: cortex_limits(settings)}}))


def test_what_waited_in_a_collector_s_queue_for_hours_is_taken_after_newer_samples(backend: Make) -> None:
    """After an outage, other senders are first. The oldest samples come last if a collector restarts while it sends."""
    metrics = SYSTEM_DEFAULTS.limits.metrics
    window = interval_seconds(metrics.out_of_order_time_window or "")
    cortex = backend("cortex", {"limits": {"metrics": metrics.model_dump(exclude_none=True)}})
    cortex.start()
    now = time.time()
    assert push(cortex, request((UP | {"job": "gateway"}, [(now, 1)])))[0] == 200
    waited = UP | {"job": "cadvisor"}
    ages = [*range(window - 60, 0, -900), window - 90]  # the last one was in a collector's hands when it ended
    for age in ages:
        status, text = push(cortex, request((waited, [(now - age, age)])))
        assert status == 200, (age, text)
    assert push(cortex, request((waited, [(now - window - 60, 0)])))[0] == 400
    assert values(cortex, f'count_over_time(up{{job="cadvisor"}}[{window + 60}s])') == [len(ages)]


def test_samples_may_be_ten_minutes_late_and_are_in_the_bucket_with_the_others(
    cortex: Backend, bucket: Callable[[], set[str]], tmp_path: Path
) -> None:
    now = time.time()
    late = UP | {"__name__": "late"}
    for age, expected in ((0, 200), (540, 200), (60, 200), (1200, 400)):
        status, text = push(cortex, request((late, [(now - age, age)])))
        assert status == expected, (age, text)
    assert values(cortex, "count_over_time(late[1h])") == [3]
    cortex.stop()
    late_blocks, blocks = ({int(now - age) // BLOCK_SECONDS for age in ages} for ages in ((540, 60), (0, 540, 60)))
    assert len(bucket()) == 1 + len(late_blocks)  # those out of order have blocks of their own
    shutil.rmtree(tmp_path / "data")
    cortex.start()
    cortex.until(lambda: len(bucket()) == len(blocks))  # the compactor merges blocks of the same time
    # The tests' compactor deletes merged blocks at once, and the querier reads its list of blocks once a minute.
    cortex.stop()
    cortex.start()
    cortex.until(lambda: values(cortex, "count_over_time(late[1h])") == [3])
    assert values(cortex, "sum_over_time(late[1h])") == [600]


def test_exemplars_are_found_beside_their_series(cortex: Backend) -> None:
    now = time.time()
    expected = {}
    for job in ("a", "b"):
        labels, exemplar = {"__name__": "requests_total", "job": job}, {"trace_id": f"of {job}"}
        assert push(cortex, with_exemplar((labels, [(now, 1.0)]), exemplar))[0] == 200
        expected[job] = (labels, [exemplar])
    entries = found(cortex, "query_exemplars", query="requests_total", start=now - 60, end=now + 60)
    assert {
        entry["seriesLabels"]["job"]: (entry["seriesLabels"], [exemplar["labels"] for exemplar in entry["exemplars"]])
        for entry in entries
    } == expected


def test_another_limit_of_exemplars_takes_effect_while_cortex_runs(backend: Make, tmp_path: Path) -> None:
    cortex = backend("cortex", {"limits": {"metrics": {"max_exemplars": 0}}})
    cortex.start()
    now = time.time()

    def kept() -> int:
        """Return how many of three new exemplars are there."""
        for number in range(3):
            series = ({"__name__": "requests_total", "job": str(number)}, [(time.time(), 1.0)])
            assert push(cortex, with_exemplar(series, {"trace_id": "abc"}))[0] == 200
        return len(found(cortex, "query_exemplars", query="requests_total", start=now - 60, end=time.time() + 60))

    assert kept() == 1
    set_limits(tmp_path, max_exemplars=100)
    cortex.until(lambda: kept() == 3, 60)


def of_server(name: str, value: float, **labels: str) -> bytes:
    """Return a push by one server of the pair `east`."""
    return request((UP | {"cluster": "east", "__replica__": name} | labels, [(time.time(), value)]))


def test_of_a_pair_one_server_is_stored_and_the_other_takes_over(cortex: Backend) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        assert push(cortex, of_server(name, value))[0] == 200
    (entry,) = results(cortex, "up")
    assert entry["metric"] == UP | {"cluster": "east"}
    assert entry["value"][1] == "1"

    def taken_over() -> bool:
        assert push(cortex, of_server("b", 2.0))[0] == 200
        return values(cortex, "up") == [2]

    cortex.until(taken_over, 30)
    assert values(cortex, "count(up)") == [1]


def test_a_push_with_series_of_several_pairs_loses_none(cortex: Backend) -> None:
    assert push(cortex, of_server("a", 1.0))[0] == 200
    labels = ({"cluster": "east", "__replica__": "b"}, {"cluster": "west", "__replica__": "b"}, {"cluster": "south"})
    assert push(cortex, request(*((UP | own, [(time.time(), 2.0)]) for own in labels)))[0] == 200
    clusters = {entry["metric"]["cluster"]: entry["value"][1] for entry in results(cortex, "up")}
    assert clusters == {"east": "1", "west": "2", "south": "2"}


def test_a_pair_may_be_named_by_other_labels(backend: Make) -> None:
    names = {"ha_cluster_label": "prometheus", "ha_replica_label": "prometheus_replica"}
    cortex = backend("cortex", {"limits": {"metrics": names}})
    cortex.start()
    for name, value in (("a", 1.0), ("b", 2.0)):
        labels = UP | {"prometheus": "monitoring/k8s", "prometheus_replica": name}
        assert push(cortex, request((labels, [(time.time(), value)])))[0] == 200
    assert [entry["metric"] for entry in results(cortex, "up")] == [UP | {"prometheus": "monitoring/k8s"}]


def test_without_the_limit_every_server_is_stored(backend: Make) -> None:
    cortex = backend("cortex", {"limits": {"metrics": {"accept_ha_samples": False}}})
    cortex.start()
    for name, value in (("a", 1.0), ("b", 2.0)):
        assert push(cortex, of_server(name, value))[0] == 200
    assert values(cortex, "count(up)") == [2]


@pytest.fixture
def pair(cortex: Backend, httpserver: HTTPServer, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two Prometheus servers with equal configurations but for their replica label; both scrape Cortex."""

    def forward(request: Request) -> Response:
        """Name the tenant, as the gateway does. Debian's Prometheus 2.42 ignores `headers` of `remote_write`."""
        status, text = push(cortex, request.get_data())
        return Response(text, status)

    httpserver.expect_request("/api/v1/push", method="POST").respond_with_handler(forward)
    servers: list[subprocess.Popen[bytes]] = []
    for name, port in zip("ab", free_ports(2), strict=True):
        folder = tmp_path / f"prometheus-{name}"
        folder.mkdir()
        config = {
            "global": {"scrape_interval": "2s", "external_labels": {"cluster": "east", "__replica__": name}},
            "scrape_configs": [{"job_name": "pair", "static_configs": [{"targets": [f"127.0.0.1:{cortex.port}"]}]}],
            "remote_write": [{"url": httpserver.url_for("/api/v1/push"), "send_native_histograms": True}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        command = [
            str(ensure(catalog.PROMETHEUS) / "prometheus"),
            "--config.file=prometheus.yml",
            "--storage.agent.path=data",
        ]
        command += ["--enable-feature=agent,native-histograms", f"--web.listen-address=127.0.0.1:{port}"]
        with (folder / "log").open("w") as log:
            servers.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log))
    yield servers
    for server in servers:
        server.kill()
        server.wait()


def test_native_histograms_of_a_real_pair_are_stored_once(
    cortex: Backend, pair: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    name = 'cortex_request_duration_seconds{route="api_v1_push"}'

    def dropped() -> bool:
        return "cortex_distributor_deduped_samples_total{" in cortex.ask("GET", "/metrics")[1]

    cortex.until(lambda: dropped() and bool(results(cortex, f"rate({name}[1m])")), 60)
    assert values(cortex, 'count(up{job="pair"})') == [1]
    (entry,) = results(cortex, f"histogram_quantile(0.5, sum(rate({name}[1m])))")
    assert 0 < float(entry["value"][1]) < 10
    (entry,) = results(cortex, name)
    assert int(entry["histogram"][1]["count"]) > 0 and "__replica__" not in entry["metric"]
    for server in pair:
        server.terminate()
        server.wait()
    cortex.stop()
    shutil.rmtree(tmp_path / "data")
    cortex.start()
    cortex.until(lambda: bool(results(cortex, f"last_over_time({name}[1h])")), 60)
