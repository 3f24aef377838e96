"""A real back end (Cortex, Loki or Alertmanager) with its pod's configuration, over an S3 server of the tests."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pulumi
import urllib3

from components.collectors.rules import mounted
from components.config.base import merged
from components.config.tenant import TenantSettings
from components.shared.pods import Aws
from components.tenant.back_ends.alertmanager import alertmanager_config, alertmanager_limits
from components.tenant.back_ends.backend import DATA_FOLDER
from components.tenant.back_ends.cortex import cortex_config, cortex_limits
from components.tenant.back_ends.loki import loki_config, loki_limits
from components.tenant.back_ends.shared_blocks import RUNTIME_FILE
from components.tenant.back_ends.store import StoreArgs
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.polling import eventually
from tests.support.ports import free_ports

TENANT = "default"
ALERTS_URL = "https://cortex.default.showdown.example.com"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-west-2"}
# The only changes to the pod's configuration, beside addresses and ports: intervals that are shorter.
SHORT_WAITS: dict[str, dict[str, Any]] = {
    "cortex": {
        "ingester": {"lifecycler": {"address": "127.0.0.1"}},
        "compactor": {
            "compaction_interval": "2s",
            "cleanup_interval": "2s",
            "cleaner_visit_marker_timeout": "1s",  # of a cleaner that a stop interrupted; the next one waits for it
            "deletion_delay": "0s",
        },
        "blocks_storage": {"bucket_store": {"sync_interval": "2s"}},
        "distributor": {
            "ha_tracker": {
                "ha_tracker_update_timeout": "1s",
                "ha_tracker_update_timeout_jitter_max": "0s",
                "ha_tracker_failover_timeout": "3s",
            }
        },
    },
    "alertmanager": {"alertmanager": {"poll_interval": "1s"}},
    "loki": {
        "compactor": {
            "compaction_interval": "2s",
            "apply_retention_interval": "2s",
            "retention_delete_delay": "1s",
        },
        "ruler": {"poll_interval": "1s"},
    },
}


def _configuration(program: str, store: StoreArgs) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration of a program, and the limits of the tenant that it reloads while it runs."""
    if program == "cortex":
        return cortex_config(store, "metrics", "config"), cortex_limits(store.settings)
    if program == "loki":
        return loki_config(store, "logs"), loki_limits(store.settings, store.tenant)
    return alertmanager_config(store, "config", ALERTS_URL), alertmanager_limits(store.settings)


def _mount(folder: Path, files: Mapping[str, str]) -> None:
    """Write files as the kubelet does: links to a folder of this version."""
    version = folder / "..2026"
    version.mkdir(parents=True)
    (folder / "..data").symlink_to(version.name)
    for name, text in files.items():
        (version / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")


class Backend:
    """A back end whose files are in one folder; it can be stopped and started again.

    `services` are the addresses of the Services that its configuration names. `changes` are merged into the configuration,
    by program. `environment` is that of the process. `rules` is the mounted rule file of Cortex, None without one.
    """

    tenant = TENANT

    changes: Mapping[str, dict[str, Any]] = SHORT_WAITS
    environment: Mapping[str, str] = KEYS
    rules: str | None = None

    def __init__(
        self,
        program: str,
        folder: Path,
        endpoint: str,
        settings: TenantSettings,
        services: Mapping[str, str] | None = None,
    ) -> None:
        aws = Aws(region="us-west-2", endpoints={"s3": endpoint})
        nothing: Any = pulumi.Output
        store = StoreArgs(
            instance="showdown",
            tenant=self.tenant,
            settings=settings,
            namespace=nothing,
            buckets={},
            role_arn=nothing,
            aws=aws,
            storage_class=None,
            domain="showdown.example.com",
            rules=self.rules,
        )
        config, limits = _configuration(program, store)
        self._program, self._folder, self.name = program, folder, program
        self._http = urllib3.PoolManager(headers={"X-Scope-OrgID": self.tenant})
        (folder / "runtime.yaml").write_text(json.dumps({"overrides": {self.tenant: limits}}))
        config = merged(config, self.changes.get(program, {}))
        http, grpc = free_ports(2)
        shipped = config["server"]["grpc_listen_port"]
        config["server"] |= {"http_listen_port": http, "grpc_listen_port": grpc, "http_listen_address": "127.0.0.1"}
        config["server"] |= {"grpc_listen_address": "127.0.0.1"}
        text = (
            json.dumps(config)
            .replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{grpc}")
            .replace(RUNTIME_FILE, str(folder / "runtime.yaml"))
        )
        if self.rules:
            text = text.replace(mounted.FOLDER, str(folder / "rules"))
            _mount(folder / "rules" / self.tenant, {mounted.FILE: self.rules})
        for service, address in (services or {}).items():
            text = text.replace(f"http://{service}/", f"http://{address}/")
        (folder / "config.yaml").write_text(text.replace(f'"{DATA_FOLDER}', f'"{folder}/data'))
        self.port = http
        self._url = f"http://127.0.0.1:{http}"

    def command(self) -> list[str]:
        """Return the command line of the program."""
        program = ensure(catalog.LOKI) / "loki" if self._program == "loki" else ensure(catalog.CORTEX) / "cortex"
        return [str(program), f"-config.file={self._folder}/config.yaml"]

    def start(self) -> None:
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self._folder, env=self.environment, stdout=log, stderr=log
            )
        self.until(lambda: self.ask("GET", "/ready")[0] == 200 and self._modules_run())

    def _modules_run(self) -> bool:
        """Return whether no module is still starting: stopping one that starts ends the program with an error."""
        status, text = self.ask("GET", "/services")
        return status == 200 and "Running" in text and "Starting" not in text

    def ask(self, method: str, path: str, **arguments: Any) -> tuple[int, str]:
        try:
            answer = self._http.request(method, self._url + path, retries=False, **arguments)
        except urllib3.exceptions.HTTPError:
            return 0, ""
        return answer.status, answer.data.decode()

    def stop(self) -> None:
        """Stop as Kubernetes does, with SIGTERM: data in memory is written to the bucket."""
        before = len((self._folder / "log").read_text())
        self.terminate()
        code, log = self.until_ended(60), (self._folder / "log").read_text()[before:]
        # Cortex reports a failure if it cancels a compaction on its way down.
        failures = {*re.findall(r'msg="module failed".* err="([^"]*)', log)}
        assert code == 0 or failures == {"context canceled"}, log[-3000:]

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def is_running(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def until_ended(self, seconds: float) -> int:
        """Wait until the process has ended; return its exit code. Raises `TimeoutExpired` after `seconds`."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def memory(self) -> int:
        """Return the resident memory of the process, in MiB."""
        return round(psutil.Process(self._process.pid).memory_info().rss / 2**20)

    def until(self, check: Callable[[], bool], seconds: float = 240) -> None:
        """Wait until `check` returns True; fail after `seconds`, or where the program ends before that."""

        def end_of_log() -> str:
            return (self._folder / "log").read_text()[-3000:]

        def is_true() -> bool:
            if check():
                return True
            assert self._process.poll() is None, end_of_log()
            return False

        eventually(is_true, seconds, detail=end_of_log)
