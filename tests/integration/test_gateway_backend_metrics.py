"""The gateway's port for the collectors: the metrics of back ends, and no other request."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3

from components.collectors.settings import NODE
from components.core.names import PORTS
from components.gateway.metrics.back_ends import PATH
from tests.support.backend import Backend
from tests.support.cluster_collector import ClusterCollector, Surroundings, arguments
from tests.support.gateway import Gateway
from tests.support.polling import eventually
from tests.support.recording_server import BackEnd

ADDRESS = "127.0.83.1"  # of the pod
POD = f"{ADDRESS}:{PORTS['cortex']}"
MARK = "secret of the tenant"


@pytest.fixture
def pod() -> Iterator[BackEnd]:
    server = BackEnd(address=ADDRESS, port=PORTS["cortex"], body=MARK.encode())
    yield server
    server.close()


@pytest.fixture
def shown(gateway: Gateway) -> Gateway:
    gateway.set_keys()
    return gateway.start()


def asked(gateway: Gateway, path: str = PATH, host: str = POD, method: str = "GET") -> tuple[int, str]:
    """Ask as the collectors do: the gateway is the proxy of an absolute URL."""
    pool = urllib3.HTTPConnectionPool("127.0.0.1", gateway.metrics_port, retries=False)
    headers = {"Host": host, "X-Scope-OrgID": "default", "Authorization": "Bearer x"}
    answer = pool.urlopen(method, f"http://{host}{path}", headers=headers, assert_same_host=False)
    return answer.status, answer.data.decode()


def test_a_collector_reads_the_metrics_of_a_pod_and_names_no_tenant(shown: Gateway, pod: BackEnd) -> None:
    assert asked(shown) == (200, MARK)
    assert pod.requests == [" GET /metrics"] and pod.credentials == [None]


def test_a_usual_client_with_a_proxy_can_use_it(shown: Gateway, pod: BackEnd) -> None:
    proxy = urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{shown.metrics_port}"})
    with urllib.request.build_opener(proxy).open(f"http://{POD}{PATH}", timeout=10) as answer:
        assert answer.read().decode() == MARK


OTHER_REQUESTS = [
    ("/api/v1/query?query=up", POD, "GET"),
    ("/prometheus/api/v1/query?query=up", POD, "GET"),
    ("/metrics/", POD, "GET"),
    ("/metrics/../api/v1/query", POD, "GET"),
    ("//metrics", POD, "GET"),
    ("/api/v1/query#/metrics", POD, "GET"),
    ("/config", POD, "GET"),
    ("/", POD, "GET"),
    (PATH, POD, "POST"),
    (PATH, POD, "DELETE"),
    (PATH, f"{ADDRESS}:9095", "GET"),
    (PATH, ADDRESS, "GET"),
    (PATH, f"localhost:{PORTS['cortex']}", "GET"),
    (PATH, f"cortex.default-tenant.svc.cluster.local:{PORTS['cortex']}", "GET"),
    (PATH, f"[::1]:{PORTS['cortex']}", "GET"),
    (PATH, f"{ADDRESS}.example.com:{PORTS['cortex']}", "GET"),
]


def test_nothing_else_reaches_a_pod(shown: Gateway, pod: BackEnd) -> None:
    answers = {request: asked(shown, *request) for request in OTHER_REQUESTS}
    assert answers == dict.fromkeys(OTHER_REQUESTS, (404, ""))
    assert pod.requests == []


def test_clients_do_not_reach_a_pod_s_metrics_at_their_own_port(shown: Gateway, pod: BackEnd) -> None:
    pool = urllib3.HTTPConnectionPool("127.0.0.1", shown.port, retries=False)
    answer = pool.urlopen("GET", f"http://{POD}{PATH}", headers={"Host": POD}, assert_same_host=False)
    assert answer.status == 404 and pod.requests == []


def test_a_pod_that_does_not_answer_is_an_error_for_its_own_scrape(shown: Gateway) -> None:
    assert asked(shown)[0] == 503


def test_the_collector_scrapes_a_pod_through_the_gateway_and_drops_what_is_not_kept(
    shown: Gateway, pod: BackEnd, tmp_path: Path, backend: Callable[..., Backend]
) -> None:
    cortex = backend("cortex", {})
    cortex.start()
    pod.body = b"# TYPE cortex_ingester_memory_series gauge\ncortex_ingester_memory_series 7\ngo_goroutines 99\n"
    proxy = f"http://127.0.0.1:{shown.metrics_port}"
    target = {
        "proxy_url": proxy,
        "static_configs": [{"targets": [POD]}],
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
    }
    without = ("file_log", "k8s_attributes", "kubelet", "cadvisor", "pods", "loki", "alertmanager")
    folder = tmp_path / "collector"
    folder.mkdir()
    surroundings = Surroundings({"cortex": cortex.port}, without, targets={"cortex": target})
    collector = ClusterCollector(folder, NODE, arguments(), surroundings)

    def names() -> set[str]:
        query = urlencode({"match[]": '{job="cortex"}'})
        headers = {"X-Scope-OrgID": "system"}
        status, text = cortex.ask("GET", f"/prometheus/api/v1/label/__name__/values?{query}", headers=headers)
        return {*json.loads(text)["data"]} if status == 200 else set()

    try:
        collector.start()
        eventually(lambda: {"up", "cortex_ingester_memory_series"} <= names(), detail=collector.said)
    finally:
        collector.kill()
    assert "go_goroutines" not in names() and {*pod.requests} == {" GET /metrics"}
