"""A real back end with the configuration of its pod, over an S3 of the test's own."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import urllib3

from components.alertmanager import alertmanager_config, alertmanager_limits
from components.backend import DATA_FOLDER, RUNTIME_FILE, StoreArgs
from components.cortex import GRPC_PORT, cortex_config, cortex_limits
from components.loki import loki_config, loki_limits
from components.section import merged
from components.tenant_config import TenantSettings
from components.workload import Aws
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.ports import free_ports

TENANT = "default"
ALERTS_URL = "https://cortex.default.showdown.example.com"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-west-2"}
# What a back end waits for, made short, and its own address, which is its pod's: nothing else of its configuration is
# changed, but for where it listens.
SOON: dict[str, dict[str, Any]] = {
    "cortex": {
        "ingester": {"lifecycler": {"address": "127.0.0.1"}},
        "compactor": {"compaction_interval": "2s", "cleanup_interval": "2s", "deletion_delay": "0s"},
        "blocks_storage": {"bucket_store": {"sync_interval": "2s"}},
    },
    "alertmanager": {"alertmanager": {"poll_interval": "1s"}},
    "loki": {
        "compactor": {
            "compaction_interval": "2s",
            "apply_retention_interval": "2s",
            "retention_delete_delay": "1s",
        }
    },
}


def _told(program: str, store: StoreArgs) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration of a program, and what it is told of the tenant while it runs."""
    if program == "cortex":
        return cortex_config(store, "metrics", "config"), cortex_limits(store.settings)
    if program == "loki":
        return loki_config(store, "logs"), loki_limits(store.settings)
    return alertmanager_config(store, "config", ALERTS_URL), alertmanager_limits(store.settings)


class Backend:
    """A real back end, started and stopped with the files in one folder."""

    def __init__(self, program: str, folder: Path, endpoint: str, settings: TenantSettings) -> None:
        aws = Aws("us-west-2", {"s3": endpoint})
        nothing: Any = pulumi.Output
        store = StoreArgs("showdown", TENANT, settings, nothing, {}, nothing, aws, None)
        config, limits = _told(program, store)
        self._program, self._folder, self.name = program, folder, program
        self._http = urllib3.PoolManager(headers={"X-Scope-OrgID": TENANT})
        (folder / "runtime.yaml").write_text(json.dumps({"overrides": {TENANT: limits}}))
        config = merged(config, SOON[program])
        http, grpc = free_ports(2)
        config["server"] |= {"http_listen_port": http, "grpc_listen_port": grpc, "http_listen_address": "127.0.0.1"}
        config["server"] |= {"grpc_listen_address": "127.0.0.1"}
        text = (
            json.dumps(config)
            .replace(f"127.0.0.1:{GRPC_PORT}", f"127.0.0.1:{grpc}")
            .replace(RUNTIME_FILE, str(folder / "runtime.yaml"))
        )
        (folder / "config.yaml").write_text(text.replace(f'"{DATA_FOLDER}', f'"{folder}/data'))
        self._url = f"http://127.0.0.1:{http}"

    def start(self) -> None:
        program = ensure(catalog.LOKI) / "loki" if self._program == "loki" else ensure(catalog.CORTEX) / "cortex"
        with (self._folder / "log").open("a") as log:
            command = [str(program), f"-config.file={self._folder}/config.yaml"]
            self._process = subprocess.Popen(command, cwd=self._folder, env=KEYS, stdout=log, stderr=log)
        self.until(lambda: self.ask("GET", "/ready")[0] == 200 and self._runs_whole())

    def _runs_whole(self) -> bool:
        """Tell whether no part of it is still starting: one that is stopped then ends the program with an error."""
        status, text = self.ask("GET", "/services")
        return status == 200 and "Running" in text and "Starting" not in text

    def ask(self, method: str, path: str, **arguments: Any) -> tuple[int, str]:
        try:
            answer = self._http.request(method, self._url + path, retries=False, **arguments)
        except urllib3.exceptions.HTTPError:
            return 0, ""
        return answer.status, answer.data.decode()

    def stop(self) -> None:
        """Stop as Kubernetes does: what is in memory goes to the bucket."""
        before = len((self._folder / "log").read_text())
        self._process.terminate()
        code, said = self._process.wait(60), (self._folder / "log").read_text()[before:]
        # Cortex counts a compaction that it cut off as a part that failed, and the end of all parts as one that did.
        failures = {*re.findall(r'msg="module failed".* err="([^"]*)', said)}
        assert code == 0 or failures == {"context canceled"}, said[-3000:]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def until(self, check: Callable[[], bool], seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, (self._folder / "log").read_text()[-3000:]
            assert self._process.poll() is None, (self._folder / "log").read_text()[-3000:]
            time.sleep(0.5)
