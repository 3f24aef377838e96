"""The back ends' configuration, by the real Cortex and Loki over an S3 of the test's own: retention and limits."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pulumi
import pytest
import urllib3
from moto.server import ThreadedMotoServer
from ruamel.yaml import YAML

from components.backend import DATA_FOLDER, RUNTIME_FILE, StoreArgs
from components.cortex import cortex_config, cortex_limits
from components.limits import LogsLimits, MetricsLimits
from components.loki import loki_config, loki_limits
from components.tenant_config import TenantSettings
from components.workload import Aws
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.ports import free_ports
from tests.remote_write import HEADERS, request

TENANT, HOUR = "default", 3600
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-west-2"}
# What a back end waits for, made short: nothing else of its configuration is changed.
SOON = {
    "cortex": {
        "compactor": {"compaction_interval": "2s", "cleanup_interval": "2s", "deletion_delay": "0s"},
        "blocks_storage": {"bucket_store": {"sync_interval": "2s"}},
    },
    "loki": {
        "compactor": {
            "compaction_interval": "2s",
            "apply_retention_interval": "2s",
            "retention_delete_delay": "1s",
        }
    },
}


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[str, Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", "us-west-2", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test")
    for bucket in ("metrics", "config", "logs"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield url, client
    server.stop()


def _merge(base: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict):
            _merge(base.setdefault(key, {}), value)
        else:
            base[key] = value


class Backend:
    """A real back end, started and stopped with the files in one folder."""

    def __init__(self, program: str, folder: Path, endpoint: str, settings: TenantSettings) -> None:
        aws = Aws("us-west-2", {"s3": endpoint})
        nothing: Any = pulumi.Output
        store = StoreArgs("showdown", TENANT, settings, nothing, {}, nothing, aws, None)
        config = cortex_config(store, "metrics", "config") if program == "cortex" else loki_config(store, "logs")
        limits = cortex_limits(settings) if program == "cortex" else loki_limits(settings)
        self._program, self._folder, self.name = program, folder, program
        self._http = urllib3.PoolManager(headers={"X-Scope-OrgID": TENANT})
        (folder / "runtime.yaml").write_text(json.dumps({"overrides": {TENANT: limits}}))
        _merge(config, SOON[program])
        http, grpc = free_ports(2)
        config["server"] |= {"http_listen_port": http, "grpc_listen_port": grpc, "http_listen_address": "127.0.0.1"}
        config["server"] |= {"grpc_listen_address": "127.0.0.1"}
        if program == "cortex":  # its pod's address is the one that others reach it at; here there are no others
            config["ingester"]["lifecycler"]["address"] = "127.0.0.1"
        text = json.dumps(config).replace(RUNTIME_FILE, str(folder / "runtime.yaml"))
        (folder / "config.yaml").write_text(text.replace(f'"{DATA_FOLDER}', f'"{folder}/data'))
        self._url = f"http://127.0.0.1:{http}"

    def start(self) -> None:
        tool = catalog.CORTEX if self._program == "cortex" else catalog.LOKI
        program = ensure(tool) / self._program
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
        self._process.terminate()
        assert self._process.wait(60) == 0, (self._folder / "log").read_text()[-3000:]

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def until(self, check: Callable[[], bool], seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, (self._folder / "log").read_text()[-3000:]
            assert self._process.poll() is None, (self._folder / "log").read_text()[-3000:]
            time.sleep(0.5)


@pytest.fixture
def backend(s3: tuple[str, Any], tmp_path: Path) -> Iterator[Callable[[str, dict[str, Any]], Backend]]:
    made: list[Backend] = []

    def make(program: str, settings: dict[str, Any]) -> Backend:
        made.append(Backend(program, tmp_path, s3[0], TenantSettings.model_validate(settings)))
        return made[-1]

    yield make
    for entry in made:
        entry.kill()


def _keys(client: Any, bucket: str, prefix: str) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def test_metrics_older_than_the_retention_leave_the_bucket_and_newer_ones_stay(
    s3: tuple[str, Any], backend: Callable[[str, dict[str, Any]], Backend]
) -> None:
    now = time.time()
    old, young = now - 72 * HOUR, now - 5 * HOUR
    cortex = backend("cortex", {"retention": {"metrics": "2d"}})
    cortex.start()
    for moment in (old, young):
        body = request(({"__name__": "up", "job": "test"}, [(moment, 1.0)]))
        assert cortex.ask("POST", "/api/v1/push", body=body, headers={**HEADERS, "X-Scope-OrgID": TENANT})[0] == 200

    def blocks() -> set[str]:
        return {key.split("/")[1] for key in _keys(s3[1], "metrics", f"{TENANT}/") if key.endswith("/meta.json")}

    cortex.stop()
    assert len(blocks()) == 2
    cortex.start()
    cortex.until(lambda: len(blocks()) == 1)

    def found(moment: float) -> int:
        query = f"/prometheus/api/v1/query?query=count_over_time(up[1h])&time={moment + 60}"
        status, body = cortex.ask("GET", query)
        return len(json.loads(body)["data"]["result"]) if status == 200 else -1

    cortex.until(lambda: found(young) == 1 and found(old) == 0)


def test_lines_older_than_the_retention_leave_the_bucket_and_newer_ones_stay(
    s3: tuple[str, Any], backend: Callable[[str, dict[str, Any]], Backend]
) -> None:
    now = time.time()
    old, young = now - 72 * HOUR, now - 5 * HOUR
    loki = backend("loki", {"retention": {"logs": "2d"}})
    loki.start()
    for age, moment in (("old", old), ("young", young)):
        stream = {"stream": {"job": age}, "values": [[str(int(moment * 1e9)), f"an {age} line"]]}
        body = json.dumps({"streams": [stream]})
        headers = {"Content-Type": "application/json", "X-Scope-OrgID": TENANT}
        assert loki.ask("POST", "/loki/api/v1/push", body=body, headers=headers)[0] == 204

    def chunks() -> list[str]:
        return _keys(s3[1], "logs", f"{TENANT}/")

    loki.stop()
    assert len(chunks()) == 2
    loki.start()
    loki.until(lambda: len(chunks()) == 1)

    def found(age: str, moment: float) -> bool:
        span = f"start={int((moment - HOUR) * 1e9)}&end={int((moment + HOUR) * 1e9)}"
        status, body = loki.ask("GET", f"/loki/api/v1/query_range?query=%7Bjob%3D%22{age}%22%7D&{span}")
        return status == 200 and f"an {age} line" in body

    loki.until(lambda: found("young", young))
    assert not found("old", old)


def _value_of(name: str, model: type[MetricsLimits] | type[LogsLimits]) -> Any:
    """Return a value for a limit that is no back end's default."""
    for value in (1234567, "77m", "321KB", model is MetricsLimits):  # Loki's own default of what is a bool is True
        try:
            return getattr(model.model_validate({name: value}), name)
        except ValueError:
            continue
    raise AssertionError(name)


def _same(given: Any, shown: Any) -> bool:
    """Tell whether a back end shows the value that it was given, which it may write in another way."""
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return bool(float(shown) == given)
    return str(shown) in (str(given), *(("1h17m", "1h17m0s") if given == "77m" else ()))


@pytest.mark.parametrize("program", ["cortex", "loki"])
def test_every_limit_is_known_to_its_back_end_and_changes_while_it_runs(
    program: str, backend: Callable[[str, dict[str, Any]], Backend], tmp_path: Path
) -> None:
    kind: str = {"cortex": "metrics", "loki": "logs"}[program]
    model: Any = {"cortex": MetricsLimits, "loki": LogsLimits}[program]
    running = backend(program, {})
    running.start()
    limits = {name: _value_of(name, model) for name in model.model_fields}
    settings = TenantSettings.model_validate({"limits": {kind: limits}})
    told = cortex_limits(settings) if program == "cortex" else loki_limits(settings)
    (tmp_path / "runtime.yaml").write_text(json.dumps({"overrides": {TENANT: told}}))

    def effective() -> dict[str, Any]:
        path = "/runtime_config" if program == "cortex" else "/config/tenant/v1/limits"
        status, body = running.ask("GET", path)
        found = YAML(typ="safe").load(body) or {} if status == 200 else {}
        return dict(found.get("overrides", {}).get(TENANT, {}) if program == "cortex" else found)

    first = next(iter(limits))
    running.until(lambda: effective().get(first) == limits[first])
    shown = effective()
    assert {name for name in limits if name not in shown} == set()
    other = {name: shown[name] for name, value in limits.items() if not _same(value, shown[name])}
    assert other == {}
