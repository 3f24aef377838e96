"""Requests through the real Envoy to the real Cortex and Loki, whose routers must read paths as clients mean them."""

import gzip
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from ruamel.yaml import YAML

from components.gateway.lua_filters import MOST_BYTES
from tests.support.backend import Backend
from tests.support.gateway import BAD, DEFAULT_VARIANT, Gateway, Variant, signed
from tests.support.polling import eventually

GROUP = """
name: g1
rules:
  - record: job:up:sum
    expr: {}
"""
EXPRESSIONS = {"cortex": "sum by (job) (up)", "loki": 'sum by (job) (rate({job="a"}[1m]))'}
RULES = {"cortex": "/api/v1/rules", "loki": "/loki/api/v1/rules"}
NAMES = {
    "team%2Fa": "team/a",
    "team%2fb%2Fc": "team/b/c",
    "d%2F%2Fd": "d//d",
    "e%5Cf": "e\\f",
    "g%20h": "g h",
    "plain": "plain",
}
MARKUP = YAML(typ="safe")


@pytest.fixture(params=["cortex", "loki"])
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(gateway: Gateway, backend: Callable[[str, dict[str, Any]], Backend], program: str) -> Gateway:
    return started(gateway, backend, program)


def started(
    gateway: Gateway,
    backend: Callable[[str, dict[str, Any]], Backend],
    program: str,
    variant: Variant = DEFAULT_VARIANT,
) -> Gateway:
    """Return a running gateway before a running back end."""
    running = backend(program, {})
    running.start()
    gateway.back_end.port = running.port
    gateway.set_keys()
    return gateway.start(variant=variant)


def test_rule_namespaces_with_slashes_are_written_read_and_deleted(opened: Gateway, program: str) -> None:
    token, start = signed(), RULES[program]
    body = GROUP.format(EXPRESSIONS[program]).encode()
    for escaped, name in NAMES.items():
        created = opened.ask(token, f"{start}/{escaped}", "POST", body=body, **{"Content-Type": "application/yaml"})
        assert created[0] == 202, (escaped, created)
        status, text = opened.ask(token, f"{start}/{escaped}")
        assert (status, list(_loaded(text))) == (200, [name]), escaped
        status, text = opened.ask(token, f"{start}/{escaped}/g1")
        assert (status, _loaded(text)["name"]) == (200, "g1"), escaped
    assert {*_loaded(opened.ask(token, start)[1])} == {*NAMES.values()}
    for escaped in NAMES:
        assert opened.ask(token, f"{start}/{escaped}/g1", "DELETE")[0] == 202, escaped
        assert opened.ask(token, f"{start}/{escaped}")[0] == 404, escaped


def test_rules_that_are_cut_are_refused_and_nothing_of_them_is_stored(
    gateway: Gateway, backend: Callable[[str, dict[str, Any]], Backend], program: str
) -> None:
    """The cut is in a comment: the rules before it would be complete."""
    opened, most = started(gateway, backend, program, Variant(most_bytes=4096)), 4096
    token, path = signed(), f"{RULES[program]}/space"
    body = GROUP.format(EXPRESSIONS[program]).encode()
    assert opened.ask(token, path, "POST", body=iter([body, b"# end\n"]))[0] == 202
    assert opened.ask(token, path, "DELETE")[0] == 202
    status, text = opened.ask(token, path, "POST", body=iter([body, *[b"# more\n"] * most]))
    assert status == 413 and text.startswith(f"a request may have {most} bytes: "), text
    assert opened.ask(token, path)[0] == 404


PUSHES = {
    "cortex": ("/api/v1/push", "/api/prom/push", "/api/v1/otlp/v1/metrics"),
    "loki": ("/loki/api/v1/push", "/otlp/v1/logs"),
}
# Cortex compares the size of an OTLP request only with the declared one. The byte after the last field is no field.
REFUSED = "larger than max|too large|illegal (field|tag)"


def test_a_push_that_is_cut_at_the_size_of_the_largest_is_refused_by_the_back_end(
    opened: Gateway, program: str
) -> None:
    for path in PUSHES[program]:
        pieces = (b"x" * 2**20 for _ in range(MOST_BYTES // 2**20 + 1))  # of protobuf: complete fields that are unknown
        headers = {"Host": f"{program}.default.showdown.example.com", "Content-Type": "application/x-protobuf"}
        status, text = opened.ask(signed(), path, "POST", body=pieces, **headers)
        assert status == 413 and text.startswith(f"a request may have {MOST_BYTES} bytes: "), (path, text)
        assert re.search(REFUSED, text), (path, text)


def _loaded(text: str) -> dict[str, Any]:
    """Return a YAML document of a back end as plain data."""
    return dict(MARKUP.load(text))


OTLP = {"cortex": "/api/v1/otlp/v1/metrics", "loki": "/otlp/v1/logs"}
QUERY = {
    "cortex": "/api/v1/query?query=orders_total",
    "loki": "/loki/api/v1/query_range?query=%7Bservice_name%3D%22billing%22%7D",
}
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "billing"}}]}


def _exported(program: str, name: str) -> dict[str, Any]:
    """Return an OTLP request in JSON: one data point, or one line."""
    now = str(time.time_ns())
    if program == "loki":
        record = {"timeUnixNano": now, "body": {"stringValue": f"a line by {name}"}}
        return {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": [record]}]}]}
    point = {"timeUnixNano": now, "asInt": "7", "attributes": [{"key": "by", "value": {"stringValue": name}}]}
    total = {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True}
    return {
        "resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": [{"name": "orders", "sum": total}]}]}]
    }


def _encodings(program: str) -> dict[str, tuple[bytes, dict[str, str]]]:
    """Return OTLP requests as clients may encode them (OTLP 1.9, 'OTLP/HTTP Request'), by name."""

    def text(name: str) -> str:
        return json.dumps(_exported(program, name))

    def binary(name: str) -> bytes:
        message = ExportMetricsServiceRequest() if program == "cortex" else ExportLogsServiceRequest()
        return bytes(Parse(text(name), message).SerializeToString())

    types = {"json": "application/json", "protobuf": "application/x-protobuf"}
    return {
        "json": (text("json").encode(), {"Content-Type": types["json"]}),
        "protobuf": (binary("protobuf"), {"Content-Type": types["protobuf"]}),
        "gzip": (gzip.compress(binary("gzip")), {"Content-Type": types["protobuf"], "Content-Encoding": "gzip"}),
    }


def test_metrics_and_logs_by_otlp_are_found_by_queries(opened: Gateway, program: str) -> None:
    kind = {"cortex": "metrics", "loki": "logs"}[program]
    host: dict[str, Any] = {"Host": f"{program}.default.showdown.example.com"}
    encodings = _encodings(program)
    for body, headers in encodings.values():
        writing, reading = (signed(scopes=(f"{kind}:{use}",)) for use in ("write", "read"))
        refused = opened.ask(reading, OTLP[program], "POST", body=body, **headers, **host)
        assert refused == (401, f"{BAD}: scope does not cover {kind}:write")
        answer = opened.ask(writing, OTLP[program], "POST", body=body, **headers, **host)
        assert answer[0] in (200, 204), answer

    def found() -> bool:
        _, text = opened.ask(signed(), QUERY[program], **host)
        return all(f"by {name}" in text or f'"by":"{name}"' in text for name in encodings)

    eventually(found, 60)


@pytest.mark.parametrize("program", ["cortex"])
def test_an_otlp_request_that_cortex_fails_is_sent_again_by_clients(opened: Gateway, tmp_path: Path) -> None:
    """Cortex answers 500, after which OpenTelemetry's clients drop the data; Loki answers 503 there."""
    tsdb = tmp_path / "data" / "tsdb"
    shutil.rmtree(tsdb, ignore_errors=True)
    tsdb.write_text("no folder")
    body, headers = _encodings("cortex")["json"]
    status, text = opened.ask(signed(), OTLP["cortex"], "POST", body=body, **headers)
    assert status == 503 and text.startswith("500-to-503: ") and "tsdb" in text, (status, text)


def test_an_otlp_request_that_cannot_be_read_gets_the_back_end_s_error(opened: Gateway, program: str) -> None:
    host = f"{program}.default.showdown.example.com"
    assert opened.ask(signed(), OTLP[program], "POST", body=b"\xff", Host=host)[0] in (400, 415)
