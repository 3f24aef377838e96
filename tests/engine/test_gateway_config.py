"""The gateway's configuration, by the real Envoy, on loopback and without any back end."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from components.gateway_config import KEYS_FOLDER, GatewaySettings, bootstrap, keys_file
from components.keys import canonical_pem, key_id
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.keyfiles import new_key
from scripts.signing import Grant, Signer

SETTINGS = GatewaySettings("showdown", "showdown.example.com", authentication=True, legacy_push_errors=False)
KEY = new_key()
KEYS = {key_id(KEY.public_key()): canonical_pem(KEY.public_key())}
Ask = Callable[[str | None], tuple[int, str]]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for entry in sockets:
        entry.bind(("127.0.0.1", 0))
    ports = [int(entry.getsockname()[1]) for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[[dict[str, str]], Ask]]:
    running = []

    def start(keys: dict[str, str]) -> Ask:
        (tmp_path / "jwt.json").write_text(keys_file("showdown", keys))
        config = json.loads(bootstrap(SETTINGS).replace(KEYS_FOLDER, str(tmp_path)))
        ports = _free_ports(2)
        for listener, port in zip(config["static_resources"]["listeners"], ports, strict=True):
            listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
            listener.pop("listener_filters", None)  # no load balancer stands before this one
        (tmp_path / "envoy.json").write_text(json.dumps(config))
        command = [str(ensure(catalog.ENVOY) / "envoy"), "-c", str(tmp_path / "envoy.json"), "--disable-hot-restart"]
        with (tmp_path / "log").open("w") as log:
            running.append(subprocess.Popen([*command, "--concurrency", "1"], stdout=log, stderr=log))
        http = urllib3.PoolManager(retries=urllib3.Retry(connect=40, backoff_factor=0.05))

        def ask(token: str | None) -> tuple[int, str]:
            headers = {"Host": "cortex.default.showdown.example.com"}
            headers |= {"Authorization": f"Bearer {token}"} if token else {}
            answer = http.request("GET", f"http://127.0.0.1:{ports[0]}/api/v1/labels", headers=headers)
            return answer.status, answer.data.decode()

        deadline = time.monotonic() + 10
        while ask(None)[0] == 500 and time.monotonic() < deadline:  # until the file of keys is read
            time.sleep(0.1)
        return ask

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_with_a_known_key_only_the_back_end_is_missing(gateway: Callable[[dict[str, str]], Ask]) -> None:
    ask = gateway(KEYS)
    status, body = ask(Signer(KEY).token(Grant("showdown", "default")))
    assert status in (404, 503) and "token" not in body


def test_without_any_key_nobody_comes_in(gateway: Callable[[dict[str, str]], Ask]) -> None:
    ask = gateway({})
    assert ask(None) == (401, "Authorization header missing or invalid")
    assert ask(Signer(KEY).token(Grant("showdown", "default"))) == (401, "bad authentication token")
