"""A tenant's real back ends over an S3 that can refuse, watched by a real collector and the Cortex of a system tenant."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer

from components.collectors.settings import NODE
from components.config.base import merged
from components.config.tenant import TenantSettings
from tests.support.backend import SHORT_WAITS, TENANT, Backend
from tests.support.cluster_collector import (
    QUICK,
    QUICK_READER,
    QUICK_SCRAPES,
    ClusterCollector,
    Surroundings,
    arguments,
)
from tests.support.collector_faults import queue_of
from tests.support.platform_rules import SystemCortex
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.refusing_s3 import RefusingS3
from tests.support.relay import WAY, Relay
from tests.support.remote_write import HEADERS, request
from tests.support.system_tenant import SystemTenant

STREAMS = 10
# Of the collector's queues. A batch of a hundred lines is less than a twentieth of the one, a scrape of all less than that of the other.
LINES_BYTES, SAMPLES_BYTES = 2_000_000, 4_000_000
LOOPBACK = "127.0.0.1"
WATCHED = ("cortex", "loki", "alertmanager")
SETTINGS = {"retention": {"metrics": "2d", "logs": "2d"}, "alertmanager": {"enabled": True}}
NO_CLUSTER = ("k8s_attributes", "kubelet", "cadvisor")
AS_JSON, AS_YAML = ({"Content-Type": f"application/{kind}"} for kind in ("json", "yaml"))


class WatchedBackend(Backend):
    """A back end that also uploads, and sends its alerts, more often."""

    changes = {
        **SHORT_WAITS,
        "cortex": merged(
            SHORT_WAITS["cortex"],
            {
                "blocks_storage": {"tsdb": {"ship_interval": "1s"}, "users_scanner": {"cache_ttl": "1s"}},
                "ruler": {"poll_interval": "1s", "resend_delay": "1s"},
            },
        ),
        "loki": merged(
            SHORT_WAITS["loki"],
            {
                "ruler": {"resend_delay": "1s"},
                "compactor": {"retention_backoff_config": {"max_period": "200ms", "max_retries": 2}},
            },
        ),
    }


def _target(port: int, program: str) -> dict[str, Any]:
    """Return the part of a scrape job for a program. Each is a tenant of its own, so that its alerts can be told apart."""
    labels = {"tenant": program, "namespace": f"{program}-tenant", "pod": f"{program}-0"}
    often = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    return often | {"static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}]}


class WatchedTenant:
    """Starts everything; `close` ends it.

    Attributes:
        pod: An annotated pod.
        way: The way of the collector's samples to the Cortex of the system tenant.
        lines: What takes the collector's lines, in place of the system tenant's Loki. It is down at first.
    """

    def __init__(self, folder: Path, s3: str) -> None:
        self.s3 = RefusingS3(s3)
        self._folder = folder
        self._started: list[Backend] = []
        self.system = SystemCortex("cortex", self._of("system"), s3, TenantSettings())
        self.way, self.lines = Relay(WAY, self.system.port), SystemTenant(free_port())
        self.alertmanager = self._backend("alertmanager")
        self.cortex = self._backend("cortex", self.alertmanager)
        self.loki = self._backend("loki", self.alertmanager, self.cortex)
        self.pod = HTTPServer("127.0.0.1", 0, threaded=True)
        self.pod.start()
        back_ends = {each.name: each for each in (self.cortex, self.loki, self.alertmanager)}
        targets = {name: _target(each.port, name) for name, each in back_ends.items()}
        targets["pods"] = _target(self.pod.port, "pods")
        by_relay = {f"http://{LOOPBACK}:{self.system.port}": f"http://{WAY}:{self.system.port}"}
        queues = queue_of("loki", LINES_BYTES) | queue_of("cortex", SAMPLES_BYTES)
        surroundings = Surroundings(
            {"cortex": self.system.port, "loki": self.lines.port},
            NO_CLUSTER,
            targets=targets,
            changes=QUICK | QUICK_READER | queues | QUICK_SCRAPES | by_relay,
        )
        self.collector = ClusterCollector(self._of("collector"), NODE, arguments(), surroundings)

    def _of(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _backend(self, program: str, *beside: Backend) -> Backend:
        services = {other.name: f"127.0.0.1:{other.port}" for other in beside}
        settings = TenantSettings.model_validate(SETTINGS)
        return WatchedBackend(program, self._of(program), self.s3.url, settings, services)

    def start(self) -> None:
        """Start all programs."""
        for each in (self.system, self.alertmanager, self.cortex, self.loki):
            each.start()
            self._started.append(each)
        self.collector.start()

    def close(self) -> None:
        """End all programs."""
        self.collector.kill()
        for each in self._started:
            each.kill()
        self.way.close()
        self.lines.down()
        self.pod.stop()
        self.s3.close()

    def expose(self, text: str) -> None:
        """Let the annotated pod expose series, until `pod.clear()`."""
        self.pod.expect_request("/metrics").respond_with_data(text, content_type="text/plain; version=0.0.4")

    def push_sample(self, age: float = 0) -> None:
        """Send a sample that is as old as `age` seconds to Cortex, and let it upload a block."""
        body = request(({"__name__": "up", "job": "test"}, [(time.time() - age, 1.0)]))
        self._send(self.cortex, "/api/v1/push", body, HEADERS)
        self._send(self.cortex, "/ingester/flush", "", {})

    def push_lines(self, age: float = 0) -> None:
        """Send lines of several streams that are as old as `age` seconds to Loki, and let it upload chunks."""
        moment = str(int((time.time() - age) * 1e9))
        streams = [{"stream": {"job": f"{number}"}, "values": [[moment, "value=none"]]} for number in range(STREAMS)]
        self._send(self.loki, "/loki/api/v1/push", json.dumps({"streams": streams}), AS_JSON)
        self._send(self.loki, "/flush", "", {})

    def set_rule(self, api: str, path: str, rule: dict[str, str]) -> None:
        """Give a back end a rule, in a group of its own."""
        back_end = {"cortex": self.cortex, "loki": self.loki}[api]
        group = {"name": rule.get("alert", "recorded"), "interval": "1s", "rules": [rule]}
        self._send(back_end, path, json.dumps(group), AS_YAML)

    def set_receivers(self, config: dict[str, Any]) -> None:
        """Give the Alertmanager its configuration."""
        self._send(
            self.alertmanager, "/api/v1/alerts", json.dumps({"alertmanager_config": json.dumps(config)}), AS_YAML
        )

    @staticmethod
    def _send(back_end: Backend, path: str, body: bytes | str, headers: Mapping[str, str]) -> None:
        status, text = back_end.ask("POST", path, body=body, headers={**headers, "X-Scope-OrgID": TENANT})
        assert status // 100 == 2, (path, status, text)

    def until_firing(self, alerts: set[tuple[str, str]], label: str = "tenant", seconds: float = 90) -> None:
        """Wait until each of the alerts fires, with the value of this label; fail after `seconds`."""

        def missing() -> set[tuple[str, str]]:
            return alerts - self.system.firing(label)

        eventually(lambda: not missing(), seconds, detail=lambda: (missing(), self.collector.said()))
