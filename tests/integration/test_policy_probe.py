"""The Envoy of the probe of network policies: whom it answers, and that each of its requests has a new connection."""

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import urllib3

from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.checks import policy_probe
from tests.support.polling import eventually
from tests.support.ports import free_port, own_address

CLOSED = "127.0.0.1:1"


class Kept(BaseHTTPRequestHandler):
    """Answers as often as a client likes on one connection."""

    protocol_version = "HTTP/1.1"
    clients: list[tuple[str, int]]

    def do_GET(self) -> None:
        self.clients.append(self.client_address)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def envoy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(policy_probe, "OPEN_PORT", free_port())
    monkeypatch.setattr(policy_probe, "LOCAL_PORT", free_port())
    command = [str(ensure(catalog.ENVOY) / "envoy"), "--config-yaml", json.dumps(policy_probe.envoy_config())]
    process = subprocess.Popen([*command, "--disable-hot-restart", "--concurrency", "1"])
    eventually(lambda: status(f"127.0.0.1:{policy_probe.OPEN_PORT}") == 200, 60, 0.1)
    yield
    process.kill()
    process.wait()


def status(target: str, host: str = "127.0.0.1") -> int | None:
    """Return the status with which the forwarding listener answers for a target; None if nothing listens."""
    headers = {policy_probe.TARGET_HEADER: target}
    try:
        url = f"http://{host}:{policy_probe.LOCAL_PORT}/"
        return urllib3.request("GET", url, headers=headers, retries=False, timeout=10).status
    except urllib3.exceptions.HTTPError:
        return None


def test_each_request_gets_a_connection_of_its_own(envoy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kept, "clients", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kept)
    Thread(target=server.serve_forever, daemon=True).start()
    answers = [status(f"127.0.0.1:{server.server_port}") for _ in range(3)]
    server.shutdown()
    server.server_close()
    assert answers == [200] * 3 and len({*Kept.clients}) == 3


def test_an_address_that_nothing_answers_at_is_no_success(envoy: None) -> None:
    assert status(CLOSED) == 503


def test_it_forwards_for_its_own_loopback_only(envoy: None) -> None:
    assert status(f"127.0.0.1:{policy_probe.OPEN_PORT}", own_address(2)) is None
