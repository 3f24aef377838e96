"""A collector of the cluster as a process of this machine: its own configuration, with other folders and addresses."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from components.collectors.configuration import cluster_configuration, node_configuration
from components.collectors.log_files import SYNCHRONOUS
from components.collectors.settings import (
    HEALTH_PORT,
    LOGS_FOLDER,
    NODE,
    OWN_METRICS_PORT,
    QUEUE_FOLDER,
    SERVICE_ACCOUNT_FOLDER,
    CollectorResources,
    CollectorsArgs,
    ScrapeJob,
)
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.ports import free_ports

# Intervals that are shorter, as everywhere in the tests: texts of the configuration, and what takes their places.
QUICK = {
    '"initial_interval": "1s", "max_interval": "15s"': '"initial_interval": "200ms", "max_interval": "500ms"',
    '"flush_timeout": "1s"': '"flush_timeout": "200ms"',
}
QUICK_READER = {'"poll_interval": "1s"': '"poll_interval": "200ms"', '"max_interval": "5s"': '"max_interval": "1s"'}
QUICK_SCRAPES = {'"scrape_interval": "30s", "scrape_timeout": "10s"': '"scrape_interval": "1s", "scrape_timeout": "1s"'}
VARIABLES = {"NODE_NAME": "node-1", "NODE_IP": "127.0.0.1", "POD_NAME": "collector-1"}
RESOURCES = CollectorResources(cpu="50m", memory="160Mi", memory_limit="512Mi")


def arguments(**changes: Any) -> CollectorsArgs:
    """Return the arguments of the collectors of an instance, with these changes."""
    usual: dict[str, Any] = {"instance": "showdown", "domain": "showdown.example.com", "logs": True, "metrics": True}
    usual |= {"excluded_namespaces": (), "extra_scrape": (), "resources": RESOURCES}
    return CollectorsArgs(**usual | changes)


def scrape_job(target: str) -> ScrapeJob:
    """Return a job of one further target, which is scraped each second."""
    return ScrapeJob(job="database", targets=[target], path="/metrics", scheme="http", interval_seconds=1)


@dataclass(frozen=True)
class Surroundings:
    """What there is around a collector.

    Attributes:
        ports: The ports of Cortex and Loki on loopback.
        without: The processors, receivers and scrape jobs that are left out, because they need a cluster.
        environment: Variables beside those of a pod.
        targets: The parts of scrape jobs that replace the discovery of their targets, by job.
        changes: Further texts of the configuration, as JSON, and what takes their places.
        launcher: The start of the command line, of a program that starts another one.
    """

    ports: Mapping[str, int] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)
    launcher: tuple[str, ...] = ()


class ClusterCollector:
    """The collector of a node or of the cluster, with its files in one folder."""

    def __init__(
        self, folder: Path, program: str, args: CollectorsArgs, surroundings: Surroundings = Surroundings()
    ) -> None:
        self.folder, self.log = folder, folder / "collector.log"
        self.pods = folder / "pods"
        self._environment = VARIABLES | dict(surroundings.environment)
        self._launcher = surroundings.launcher
        account = folder / "account"
        for each in (self.pods, folder / "queue", account):
            each.mkdir()
        (account / "token").write_text("token")
        (account / "ca.crt").touch()
        whole = node_configuration(args) if program == NODE else cluster_configuration(args)
        text = json.dumps(_with_targets(_without(whole, surroundings.without), surroundings.targets))
        health, self._own_port = free_ports(2)
        changes = {LOGS_FOLDER: str(self.pods), QUEUE_FOLDER: str(folder / "queue")}
        changes |= {SERVICE_ACCOUNT_FOLDER: str(account), f"0.0.0.0:{HEALTH_PORT}": f"127.0.0.1:{health}"}
        changes |= {f"127.0.0.1:{OWN_METRICS_PORT}": f"127.0.0.1:{self._own_port}", '"serviceAccount"': '"kubeConfig"'}
        changes[f'"port": {OWN_METRICS_PORT}'] = f'"port": {self._own_port}'
        for service, port in surroundings.ports.items():
            changes[f"http://{service}.system-tenant.svc.cluster.local"] = f"http://127.0.0.1:{port}"
        for shipped, used in (changes | dict(surroundings.changes)).items():
            assert shipped in text or shipped in changes, shipped
            text = text.replace(shipped, used)
        self._file = folder / "config.yaml"
        self._file.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self, *words: str) -> list[str]:
        program = ensure(catalog.OTELCOL) / "otelcol"
        return [*self._launcher, str(program), *words, f"--config={self._file}", f"--feature-gates={SYNCHRONOUS}"]

    def validated(self) -> subprocess.CompletedProcess[str]:
        """Let the Collector check the configuration."""
        environment = os.environ | self._environment
        return subprocess.run(self._command("validate"), env=environment, capture_output=True, text=True, check=False)

    def start(self) -> None:
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command(), env=os.environ | self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End the process as a crash does."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the process as Kubernetes does, if it has the time."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)

    def own_metric(self, name: str, **labels: str) -> float:
        """Return the sum of the collector's own series of this name; 0 without any, and while it does not run."""
        return _total(self._own_metrics(), name, labels)

    def vanished(self, counted: str) -> float:
        """Return how many lines or samples are neither sent nor in a queue; 0 while one is not empty, and while it does not run."""
        text = self._own_metrics()
        if _total(text, "otelcol_exporter_queue_size", {}):
            return 0
        return _total(text, f"otelcol_receiver_accepted_{counted}_total", {}) - _total(
            text, f"otelcol_exporter_sent_{counted}_total", {}
        )

    def _own_metrics(self) -> str:
        try:
            return urllib3.request("GET", f"http://127.0.0.1:{self._own_port}/metrics", retries=False).data.decode()
        except urllib3.exceptions.HTTPError:
            return ""

    @property
    def queue_of_lines(self) -> Path:
        """The file of the queue of lines."""
        return self.folder / "queue" / "exporter_otlp_http_logs_logs"

    def has_in_queue(self, line: str) -> bool:
        """Return whether the file of the queue has a line."""
        return self.queue_of_lines.exists() and line.encode() in self.queue_of_lines.read_bytes()

    def said(self) -> str:
        """Return the end of the collector's log."""
        return self.log.read_text()[-3000:] if self.log.exists() else ""

    def log_file(self, namespace: str, pod: str, container: str) -> Path:
        """Return the log file of a container, whose folder exists, as a kubelet names it."""
        folder = self.pods / f"{namespace}_{pod}_0a1b2c3d-0000-4000-8000-000000000000" / container
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "0.log"


def _total(text: str, name: str, labels: Mapping[str, str]) -> float:
    """Return the sum of the series of a name with these labels, in the text of a scrape."""
    found = re.findall(rf"^{name}({{.*}})? (\S+)$", text, re.MULTILINE)
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(float(value) for shown, value in found if all(label in shown for label in wanted))


def _without(configuration: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a configuration without these components and scrape jobs, and without the pipelines that have no receiver."""
    pipelines = {}
    for name, pipeline in configuration["service"]["pipelines"].items():
        rest = {kind: [each for each in parts if each not in names] for kind, parts in pipeline.items()}
        if rest["receivers"]:
            pipelines[name] = rest
    kinds = ("receivers", "processors")
    parts = {kind: {n: part for n, part in configuration[kind].items() if n not in names} for kind in kinds}
    prometheus = parts["receivers"].get("prometheus")
    if prometheus:
        jobs = [job for job in prometheus["config"]["scrape_configs"] if job["job_name"] not in names]
        parts["receivers"]["prometheus"] = {"config": {"scrape_configs": jobs}}
    service = configuration["service"] | {"pipelines": pipelines}
    return configuration | parts | {"service": service}


def _with_targets(configuration: dict[str, Any], targets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a configuration whose scrape jobs have these targets in place of discovered ones."""
    jobs = configuration["receivers"].get("prometheus", {"config": {"scrape_configs": []}})["config"]["scrape_configs"]
    for job in jobs:
        if job["job_name"] in targets:
            for part in ("kubernetes_sd_configs", "relabel_configs", "proxy_url"):
                job.pop(part, None)
            job.update(targets[job["job_name"]])
    return configuration
