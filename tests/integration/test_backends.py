"""The back ends' configuration, by the real Cortex and Loki over an S3 server: retention and limits."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.config.backend_limits import LogsLimits, MetricsLimits
from components.config.tenant import TenantSettings
from components.tenant.back_ends.cortex import OWN_DEFAULTS, cortex_limits
from components.tenant.back_ends.loki import loki_limits
from tests.support.backend import TENANT, Backend
from tests.support.remote_write import HEADERS, request

ULID_LENGTH = 26  # a block's name is a ULID
HOUR = 3600


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
        """Return the names of the blocks in the bucket, complete or not."""
        keys = (key.split("/")[1] for key in _keys(s3[1], "metrics", f"{TENANT}/"))
        return {part for part in keys if len(part) == ULID_LENGTH}

    cortex.stop()
    assert len(blocks()) == 2
    cortex.start()
    cortex.until(lambda: len(blocks()) == 1)

    def series(moment: float) -> int:
        query = f"/prometheus/api/v1/query?query=count_over_time(up[1h])&time={moment + 60}"
        status, body = cortex.ask("GET", query)
        return len(json.loads(body)["data"]["result"]) if status == 200 else -1

    cortex.until(lambda: series(young) == 1 and series(old) == 0)


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

    def has_line(age: str, moment: float) -> bool:
        span = f"start={int((moment - HOUR) * 1e9)}&end={int((moment + HOUR) * 1e9)}"
        status, body = loki.ask("GET", f"/loki/api/v1/query_range?query=%7Bjob%3D%22{age}%22%7D&{span}")
        return status == 200 and f"an {age} line" in body

    loki.until(lambda: has_line("young", young))
    assert not has_line("old", old)


def _value_of(name: str, model: type[MetricsLimits] | type[LogsLimits]) -> Any:
    """Return a value for a limit that is no back end's default."""
    # Loki's default for booleans is True. Cortex's is False, but Opstrace sets True for some.
    other = OWN_DEFAULTS.get(name) is not True if model is MetricsLimits else False
    for value in (1234567, "77m", "321KB", "team", other):
        try:
            return getattr(model.model_validate({name: value}), name)
        except ValueError:
            continue
    raise AssertionError(name)


def _same(value: Any, shown: Any) -> bool:
    """Return whether a back end shows a value, perhaps in another notation."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return bool(float(shown) == value)
    return str(shown) in (str(value), *(("1h17m", "1h17m0s") if value == "77m" else ()))


@pytest.mark.parametrize("program", ["cortex", "loki"])
def test_every_limit_is_known_to_its_back_end_and_changes_while_it_runs(
    program: str, backend: Callable[[str, dict[str, Any]], Backend], tmp_path: Path
) -> None:
    kind: str = {"cortex": "metrics", "loki": "logs"}[program]
    model: Any = {"cortex": MetricsLimits, "loki": LogsLimits}[program]
    running = backend(program, {})
    running.start()
    limits = {name: _value_of(name, model) for name in model.model_fields}
    if program == "cortex":
        limits["ha_cluster_label"] = "other"  # than ha_replica_label
    settings = TenantSettings.model_validate({"limits": {kind: limits}, "retention": {kind: "40d"}})
    expected = cortex_limits(settings) if program == "cortex" else loki_limits(settings, TENANT)
    (tmp_path / "runtime.yaml").write_text(json.dumps({"overrides": {TENANT: expected}}))

    def effective() -> dict[str, Any]:
        path = "/runtime_config" if program == "cortex" else "/config/tenant/v1/limits"
        status, body = running.ask("GET", path)
        answer = YAML(typ="safe").load(body) or {} if status == 200 else {}
        return dict(answer.get("overrides", {}).get(TENANT, {}) if program == "cortex" else answer)

    first = next(iter(limits))
    running.until(lambda: effective().get(first) == limits[first])
    shown = effective()
    assert {name for name in limits if name not in shown} == set()
    other = {name: shown[name] for name, value in limits.items() if not _same(value, shown[name])}
    assert other == {}
    retention = "compactor_blocks_retention_period" if program == "cortex" else "retention_period"
    assert shown[retention] in ("40d", "960h", "5w5d")
