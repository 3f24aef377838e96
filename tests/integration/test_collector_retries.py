"""The OpenTelemetry Collector of the page on clients before a back end that fails for a while."""

import time
from pathlib import Path

from pytest_httpserver import HTTPServer

from tests.support.collector import DROPPED, Collector, expose, shown_commands
from tests.support.gateway import PUSH, Gateway, signed
from tests.support.polling import eventually

FAILED_SECONDS = 6  # longer than the Collector's remote write tries by default
OTLP = "/api/v1/otlp/v1/metrics"
SHOWN = "cortex.default.showdown.opstrace.localhost:8443"


def test_the_collector_sends_again_what_cortex_failed_to_take(
    gateway: Gateway, httpserver: HTTPServer, tmp_path: Path
) -> None:
    gateway.set_keys()
    gateway.start()
    folder = tmp_path / "collector"
    folder.mkdir()
    both = "exporters: [otlp_http/metrics, prometheusremotewrite]"
    changes = {
        f"https://{SHOWN}": f"http://127.0.0.1:{gateway.port}",
        "tls: {ca_file: /etc/otelcol/ca.pem}": "headers: {Host: cortex.default.showdown.example.com}",
        "exporters: [prometheusremotewrite]": both,
    }
    collector = Collector(folder, httpserver.port, changes)
    collector.give(signed(scopes=("metrics:write",)))
    expose(httpserver, "orders_total", 7)
    gateway.back_end.status, gateway.back_end.body = 500, b"failed"

    def asked() -> set[str]:
        return {request.split(" ")[2] for request in gateway.back_end.requests}

    with collector.started(shown_commands()[1]):
        eventually(lambda: asked() == {PUSH, OTLP}, detail=collector.said)
        time.sleep(FAILED_SECONDS)
        gateway.back_end.requests.clear()
        gateway.back_end.status, gateway.back_end.body = 200, b""
        eventually(lambda: asked() == {PUSH, OTLP}, detail=collector.said)
    assert DROPPED not in collector.log.read_text()
