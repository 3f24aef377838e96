"""A page with data in all its views, for pictures and for checks of how views look: `python -m tests.support.pictured FOLDER`.

States, pods, histories and answers have the form of a real instance's. Their numbers agree with each other: `ops` lacks
a pod, so its Loki takes no lines and an alert fires.
"""

import datetime
import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws

from components.core.names import GATEWAY_NAMESPACE, namespace
from components.core.public_keys import key_id
from scripts.clients.gateway.state import PodState
from scripts.dashboards.expressions import LINES_BY_TENANT, RATE, SAMPLES_BY_TENANT, SERIES_BY_TENANT
from scripts.engine.stack_state import Operation, operation_of
from scripts.instances.gateway import GATEWAY
from scripts.stackfile.file import StackFile
from scripts.tokens.issued import record
from scripts.tokens.signing import Grant, Signer
from scripts.web.data.limits import expression_of_numbers
from scripts.web.server import Options, leave, serve
from tests.support.contexts import FakeContext
from tests.support.factories import KEY, PAIR, settings
from tests.support.page import Engine, Pods, applied
from tests.support.s3_stores import make_store, record_retention
from tests.support.tenant_apis import Asked, TenantApis, matrix, streams, vector

INSTANCE, DOMAIN = "showdown", "showdown.example.com"
TENANTS: list[dict[str, Any]] = [
    {"name": "default"},
    {"name": "billing", "owner": "team payments", "retention": {"metrics": "90d", "logs": "30d"}, "protect": True},
    {"name": "ops", "owner": "platform", "retention": {"metrics": "30d"}},
    {"name": "shop", "owner": "team web", "labels": {"team": "web"}},
]
KEPT, KEPT_ID = "checkout", "5f3c81d2"  # a tenant that was deleted, and the id of its data
UNREADY = "ops"
TOKEN = Grant(
    instance=INSTANCE,
    tenant="shop",
    seconds=4_000_000_000,
    issued=1,
    id="3f0c9a52-7d1e-4b6a-9c58-2f1d6e0b8a47",
    name="checkout",
)
METRICS_QUERY = "sum by (job) (rate(http_requests_total[5m]))"
LOGS_QUERY = '{job="web"} | json | status >= 500'
REQUESTS = {"cart": 14.0, "search": 31.0, "web": 58.0}  # each second, by job
SERIES = {"billing": 8_400.0, "default": 310.0, "ops": 2_150.0, "shop": 41_800.0, "system": 26_300.0}
SCRAPE_SECONDS = 30.0
LINES = {"billing": 3.1, "default": 0.2, "shop": 46.0, "system": 12.4}
# Of each tenant, by the names of `scripts.web.data.limits`; `series` and `samples` are those above.
NUMBERS = {"queue": 0.0, "groups": 24.0, "streams": 212.0, "lines": LINES["shop"], "bytes": 11_900.0}
LIMITS = {
    "/config": "limits: {max_series_per_user: 5000000, max_global_series_per_user: 50000, ingestion_rate: 25000, "
    "max_outstanding_requests_per_tenant: 100, ruler_max_rule_groups_per_tenant: 70, max_series_per_metric: 50000, "
    "max_global_series_per_metric: 0, max_metadata_per_user: 8000, max_exemplars: 100000, "
    "ruler_max_rules_per_rule_group: 0}",
    "/runtime_config": "overrides: {}",
    "/api/v1/user_stats": '{"numSeries": 41800}',
    "/config/tenant/v1/limits": "{max_streams_per_user: 0, max_global_streams_per_user: 5000, ingestion_rate_mb: 4, "
    "per_stream_rate_limit: 3MB, max_concurrent_tail_requests: 10}",
}
ANSWERS = {"200": 1_460.0, "204": 165_600.0, "429": 31.0}  # of the gateway in an hour, by status
STORED_BYTES = {"billing": 1_830_000, "default": 21_000, "ops": 640_000, "shop": 4_210_000, "system": 2_970_000}
UPDATES = (
    ("2026-11-30T13:11:02.000Z", "ann@desk", "opstrace tenants set shop owner='team web'", {"update": 2}),
    ("2026-11-30T10:40:27.000Z", "bob@laptop", f"opstrace tenants remove {KEPT}", {"delete": 33, "update": 1}),
    ("2026-11-29T16:02:51.000Z", "ann@desk", "Add the tenant billing, in the page", {"create": 33, "update": 1}),
    ("2026-11-28T09:15:40.000Z", "ann@desk", "opstrace create", {"create": 214}),
)
FAILED_REQUESTS = (
    ("POST", "/cart/checkout", 502, "upstream payment did not answer in 10 s"),
    ("GET", "/search?q=lamp", 503, "no healthy upstream"),
    ("POST", "/cart/checkout", 500, "could not serialize access due to concurrent update"),
)


def _wave(at: float, phase: float) -> float:
    """Return a factor near 1 that goes up and down with time, as load does."""
    return 1 + 0.18 * math.sin(at / 900 + phase) + 0.05 * math.sin(at / 97 + 3 * phase)


def _points(asked: Asked, value: float, phase: float) -> list[tuple[float, float]]:
    start, end, step = (float(asked.query[name]) for name in ("start", "end", "step"))
    times = [start + number * step for number in range(int((end - start) / step) + 1)]
    return [(at, value * _wave(at, phase)) for at in times]


def _ranges(asked: Asked, label: str, values: dict[str, float]) -> tuple[int, Any]:
    return 200, matrix(
        *(({label: name}, _points(asked, value, phase)) for phase, (name, value) in enumerate(values.items()))
    )


def _log_lines(asked: Asked) -> tuple[int, Any]:
    end, lines = int(asked.query["end"]), []
    for number in range(12):
        method, path, status, error = FAILED_REQUESTS[number % len(FAILED_REQUESTS)]
        body = {"method": method, "path": path, "status": status, "ms": 37 + 211 * (number % 5), "error": error}
        lines.append((end - number * 47_000_000_000, json.dumps(body)))
    return 200, streams(({"job": "web", "level": "error"}, lines))


def _access_log(asked: Asked) -> tuple[int, Any]:
    end, lines = int(asked.query["end"]), []
    for number in range(3):
        at = end - number * 190_000_000_000
        request = {"time": _time(at), "api": "loki", "method": "POST", "path": "/loki/api/v1/push"}
        line = {**request, "status": 429, "reason": "request_rate_limited", "client": "10.0.4.17"}
        lines.append((at, json.dumps(line)))
    return 200, streams(({}, lines))


def _pod_errors(asked: Asked) -> tuple[int, Any]:
    at = int(asked.query["end"]) - 2_700_000_000_000
    text = f'ts={_time(at)} caller=metrics.go level=error org_id=shop msg="query timed out" query="{{job=\\"web\\"}}"'
    return 200, streams(({"k8s_pod_name": "loki-0"}, [(at, text)]))


def _time(nanoseconds: int) -> str:
    return datetime.datetime.fromtimestamp(nanoseconds / 1e9, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _counts() -> tuple[int, Any]:
    load = _wave(time.time(), 0)
    return 200, vector(
        *(({"api": "loki", "status": status}, round(number * load)) for status, number in ANSWERS.items())
    )


def _alert() -> dict[str, Any]:
    return {
        "labels": {"alertname": "TenantNotReady", "severity": "warning", "namespace": namespace(UNREADY)},
        "annotations": {"summary": f"Pods of the tenant {UNREADY} are not ready for 5 minutes."},
        "state": "firing",
        "activeAt": "2026-11-30T13:02:30Z",
    }


def _numbers(asked: Asked) -> tuple[int, Any] | None:
    """Answer a query of numbers over a time; None for another query."""
    query = asked.query.get("query", "")
    samples = {name: series / SCRAPE_SECONDS for name, series in SERIES.items()}
    rates = {SERIES_BY_TENANT: SERIES, SAMPLES_BY_TENANT: samples, LINES_BY_TENANT: LINES}
    by_query = {expression.replace(RATE, "[5m]"): ("tenant", values) for expression, values in rates.items()}
    own = {"series": SERIES["shop"], "samples": samples["shop"]}
    by_query |= {expression_of_numbers("shop"): ("number", own | NUMBERS), METRICS_QUERY: ("job", REQUESTS)}
    return _ranges(asked, *by_query[query]) if query in by_query else None


def _logs(asked: Asked) -> tuple[int, Any] | None:
    """Answer a query of logs that has lines; None for another query."""
    query = asked.query.get("query", "")
    if query.startswith("sum by (api, status)"):
        return _counts()
    if query == LOGS_QUERY:
        return _log_lines(asked)
    if query.startswith('{k8s_namespace_name="shop-tenant"}'):
        return _pod_errors(asked)
    return _access_log(asked) if query.endswith("status>=400") else None


def answer(asked: Asked) -> tuple[int, Any]:
    """Answer as Cortex and Loki of a tenant do."""
    if found := _numbers(asked) or _logs(asked):
        return found
    if asked.path.endswith("/alerts"):
        return 200, {"status": "success", "data": {"alerts": [_alert()] if ".system." in asked.host else []}}
    empty: Any = {
        "/api/v1/query_range": matrix(),
        "/loki/api/v1/query": vector(),
        "/loki/api/v1/query_range": streams(),
    }
    return 200, empty.get(asked.path, {"status": "success", "data": []})


class History(Engine):
    """An engine with the last updates of `UPDATES`."""

    def operations(self, most: int) -> list[Operation]:
        entries = [
            {
                "kind": "update",
                "startTime": started,
                "message": f"{user}: {purpose}",
                "environment": {"pulumi.flag.message": "set"},
                "result": "succeeded",
                "resourceChanges": changes,
            }
            for started, user, purpose, changes in UPDATES
        ]
        return [operation_of(entry) for entry in entries[:most]]


class _Cluster(Pods):
    def ask(self, *arguments: Any) -> Any:
        return LIMITS.get(arguments[3])

    def get(self, version: str, kind: str, name: str, namespace: str | None = None) -> Any:
        if (name, namespace) == (GATEWAY, GATEWAY_NAMESPACE):
            return {"spec": {"replicas": 2}, "status": {"readyReplicas": 2}}
        return super().get(version, kind, name, namespace)


class PicturedContext(FakeContext):
    """A context with engines on `states`, and with APIs of tenants that answer by `answer`."""

    def __init__(self, folder: Path, states: dict[str, list[dict[str, Any]]], **parts: Any) -> None:
        super().__init__(folder, lambda stack: History(folder, states, [], stack), **parts)
        self.states = states
        self.gateway = TenantApis(answer).client

    def gateway_pods(self, *_: Any) -> dict[str, Any]:
        state = PodState(key_ids=[key_id(KEY)], current=True, refused=False)
        return {f"{GATEWAY}-6c9f7d5b84-{end}": state for end in ("4kzqp", "w7d2n")}


class _Certificates:
    """ACM with a certificate of the instance and one of each tenant."""

    def can_paginate(self, _: str) -> bool:
        return False

    def list_certificates(self, **_: Any) -> dict[str, Any]:
        names = [DOMAIN, *(f"{tenant['name']}.{DOMAIN}" for tenant in TENANTS), f"system.{DOMAIN}"]
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=393)
        return {
            "CertificateSummaryList": [{"DomainName": name, "Status": "ISSUED", "NotAfter": ends} for name in names]
        }


@contextmanager
def account() -> Iterator[dict[str, Any]]:
    """Yield the clients of an account with the data of all tenants, and that of a deleted one."""
    with mock_aws():
        aws = {"s3": boto3.client("s3", "us-east-1"), "acm": _Certificates()}
        store = make_store(aws, KEPT, KEPT_ID)
        record_retention(aws, store, 30)
        sizes = {"metrics": [410_000, 388_000, 402_000], "logs": [96_000, 120_000, 87_000, 101_000], "config": [900]}
        for kind, bucket in store.buckets.items():
            for number, size in enumerate(sizes[kind]):
                aws["s3"].put_object(Bucket=bucket, Key=f"{number}", Body=b"x" * size)
        for tenant, stored in STORED_BYTES.items():
            bucket = make_store(aws, tenant).buckets["metrics"]
            aws["s3"].put_object(Bucket=bucket, Key="block", Body=b"x" * stored)
        yield aws


def serve_data(folder: Path, kind: type[PicturedContext], provider: str) -> None:
    """Write the stack file and the list of issued tokens into a folder, and serve the page in a context of this kind."""
    file = StackFile(INSTANCE, folder)
    for name, value in settings(tenants=TENANTS).items():
        file.set(name, value)
    file.write()
    record(key_id(KEY), [TOKEN])
    cluster = _Cluster()
    cluster.ready = {tenant: int(tenant != UNREADY) for tenant in SERIES}
    with account() as aws:
        context = kind(folder, applied(folder), aws=aws, cluster=cluster)
        serve(context, provider, INSTANCE, Options(open_browser=False, signer=Signer(PAIR)))
    leave()


if __name__ == "__main__":
    serve_data(Path(sys.argv[1]), PicturedContext, "local")
