"""The OpenTelemetry Collector as the page on clients shows it: real Collector, gateway, Cortex and Loki."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from pytest_httpserver import HTTPServer

from tests.support.collector import Collector, expose, shown_commands
from tests.support.polling import eventually
from tests.support.user_session import DOMAIN, INSTANCE, PORT, UserSession, url

REFUSED = "HTTP Status Code 401"
LINES = 200
# The system's resolver does not resolve names under localhost.
HOSTS = f"127.0.0.1 localhost cortex.default.{DOMAIN} loki.default.{DOMAIN}\n"


@pytest.fixture
def collector(walk: UserSession, httpserver: HTTPServer, tmp_path: Path) -> Collector:
    (tmp_path / "ca.pem").symlink_to(walk.ca)
    return Collector(tmp_path, httpserver.port, {"showdown": INSTANCE, ":8443": f":{PORT}"})


def counted(walk: UserSession, name: str) -> list[tuple[dict[str, str], str]]:
    """Return the labels, without name and instance, and the value of each series of a counter."""
    query = urlencode({"query": name})
    status, text = walk.curl(f"{url('cortex', 'default', '/api/v1/query')}?{query}", token=walk.token("default"))
    assert status == 200, text
    series = json.loads(text)["data"]["result"]
    own = ("__name__", "instance")
    return [({k: v for k, v in one["metric"].items() if k not in own}, one["value"][1]) for one in series]


def lines(walk: UserSession) -> list[str]:
    """Return the lines of the service in the tenant's Loki."""
    query = urlencode({"query": '{service_name="app"}', "limit": "1000"})
    address = f"{url('loki', 'default', '/loki/api/v1/query_range')}?{query}"
    status, text = walk.curl(address, token=walk.token("default"))
    assert status == 200, text
    return [line for stream in json.loads(text)["data"]["result"] for _, line in stream["values"]]


def test_the_collector_of_the_page_on_clients_sends_metrics_and_lines(
    walk: UserSession, trusted_pair: str, collector: Collector, httpserver: HTTPServer
) -> None:
    def token(scopes: str) -> str:
        return str(walk.opstrace("ta-create-token", INSTANCE, "default", trusted_pair, "--scope", scopes).stdout)

    reading, writing = token("metrics:read,logs:read"), token("metrics:write,logs:write")
    by_otlp, by_remote_write = shown_commands()
    expose(httpserver, "otel_orders_total", 7)
    collector.give(reading)
    with collector.started(by_otlp, HOSTS):

        def is_refused(api: str) -> bool:
            collector.write_lines("dropped")
            log = collector.log.read_text().splitlines()
            return any(f"https://{api}.default." in entry and REFUSED in entry for entry in log)

        eventually(lambda: is_refused("cortex") and is_refused("loki"), detail=collector.said)
        assert (counted(walk, "otel_orders_total"), lines(walk)) == ([], [])
        collector.give(writing)
        eventually(lambda: counted(walk, "otel_orders_total") == [({"job": "app"}, "7")], detail=collector.said)

        def is_taken() -> bool:
            collector.write_lines("now it begins")
            return "now it begins" in lines(walk)

        eventually(is_taken, detail=collector.said)
        sent = [f"line {number}" for number in range(LINES)]
        collector.write_lines(*sent)
        eventually(lambda: {*sent} <= {*lines(walk)}, detail=collector.said)
    expose(httpserver, "otel_refunds_total", 3)
    with collector.started(by_remote_write, HOSTS):
        eventually(lambda: counted(walk, "otel_refunds_total") == [({"job": "app"}, "3")], detail=collector.said)
        collector.write_lines("one more")
        eventually(lambda: "one more" in lines(walk), detail=collector.said)
    assert sorted(line for line in lines(walk) if line.startswith("line ")) == sorted(sent)  # each once
    log = collector.log.read_text()
    assert reading.strip() not in log and writing.strip() not in log
