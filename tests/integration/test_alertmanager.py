"""A tenant's Alertmanager, by the real Cortex over an S3 server: the addresses it sends to, and the data it stores."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.backend import ALERTS_URL, TENANT, Backend
from tests.support.receiver import Receiver

Make = Callable[..., Backend]
ON = {"alertmanager": {"enabled": True}}
LOOPBACK = ["127.0.0.1/32"]
AS_JSON = {"Content-Type": "application/json", "X-Scope-OrgID": TENANT}
MATCHER = {"name": "alertname", "value": "Known", "isRegex": False, "isEqual": True}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


def configure(running: Backend, url: str) -> None:
    """Upload a configuration that sends every alert to `url` at once, and wait until it is loaded."""
    name = url.strip("htp:/").replace(":", "-")  # Alertmanager hides URLs when it shows its configuration
    route = {"receiver": name, "group_wait": "0s", "group_interval": "1s", "group_by": ["alertname"]}
    config = {"route": route, "receivers": [{"name": name, "webhook_configs": [{"url": url}]}]}
    body = json.dumps({"alertmanager_config": json.dumps(config)})
    headers = {"Content-Type": "application/yaml", "X-Scope-OrgID": TENANT}
    assert running.ask("POST", "/api/v1/alerts", body=body, headers=headers)[0] == 201
    running.until(lambda: name in running.ask("GET", "/alertmanager/api/v2/status")[1])


def fire(running: Backend, *names: str) -> None:
    body = json.dumps([{"labels": {"alertname": name}} for name in names])
    assert running.ask("POST", "/alertmanager/api/v2/alerts", body=body, headers=AS_JSON)[0] == 200


def test_what_fires_is_sent_to_a_private_address_only_where_that_is_allowed(
    backend: Make, receiver: Receiver, tmp_path: Path
) -> None:
    running = backend("alertmanager", ON, LOOPBACK)
    running.start()
    configure(running, receiver.url)
    fire(running, "Fires")
    running.until(lambda: receiver.alerts() == {"Fires"}, 30)
    assert receiver.notifications[0]["externalURL"] == f"{ALERTS_URL}/alertmanager"
    running.kill()

    closed = backend("alertmanager", ON)
    closed.start()
    configure(closed, receiver.url)
    fire(closed, "Other")
    closed.until(lambda: "blocked address" in (tmp_path / "log").read_text(), 30)
    assert receiver.alerts() == {"Fires"}


def test_a_silence_outlives_its_pod(backend: Make, receiver: Receiver) -> None:
    running = backend("alertmanager", ON, LOOPBACK)
    running.start()
    configure(running, receiver.url)
    now = time.time()
    span = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + later)) for later in (0, 3600)]
    silence = {"matchers": [MATCHER], "startsAt": span[0], "endsAt": span[1], "createdBy": "test", "comment": "known"}
    body = json.dumps(silence)
    assert running.ask("POST", "/alertmanager/api/v2/silences", body=body, headers=AS_JSON)[0] == 200
    running.stop()
    running.start()
    running.until(lambda: "known" in running.ask("GET", "/alertmanager/api/v2/silences")[1], 30)
    fire(running, "Known", "Unknown")
    running.until(lambda: receiver.alerts() == {"Unknown"}, 30)


def test_its_pages_are_there(backend: Make, receiver: Receiver) -> None:
    running = backend("alertmanager", ON)
    running.start()
    configure(running, receiver.url)
    status, page = running.ask("GET", "/alertmanager/")
    assert status == 200 and "script.js" in page
    assert running.ask("GET", "/alertmanager/script.js")[0] == 200
