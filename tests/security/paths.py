"""Paths to closed resources, and other spellings of open paths."""

from components.core.names import Api
from tests.security.case import (
    ARRIVES,
    BAD,
    BAD_REQUEST,
    LABELS,
    MISSING,
    NO_ALERTMANAGER,
    NOT_OPEN,
    Case,
    refused,
)
from tests.support.raw_client import Answer
from tests.support.token_variants import Forgery

APIS: tuple[Api, ...] = ("cortex", "loki")
CLOSED = [
    *(
        "/",
        "/config",
        "/runtime_config",
        "/services",
        "/metrics",
        "/flush",
        "/shutdown",
        "/ring",
        "/ingester/ring",
        "/ready",
    ),
    *("/ingester/flush", "/ingester/shutdown", "/distributor/ring", "/distributor/all_user_stats", "/memberlist"),
    *(
        "/api/v1/status/config",
        "/api/v1/rulesx",
        "/api/v1/alerts/",
        "/alertmanager",
        "/alertmanager/metrics",
        "/alertmanager/-/reload",
        "/alertmanager/debug/pprof/heap",
        "/alertmanager/api/v1/alerts",
        "/alertmanager/api/v2/../../../config",
        "/alertmanager/lib/../metrics",
        "/multitenant_alertmanager/configs",
        "/multitenant_alertmanager/delete_tenant_config",
        "/api/v1/admin/tsdb/delete_series",
        "/prometheus/api/v1/status/buildinfo",
        "/prometheus/api/v1/status/config",
        "/prometheus/api/v1/admin/tsdb/delete_series",
        "/prometheus/api/v1/rules/a",
        "/prometheus/api/v1/push",
        "/prometheus/rules",
        "/prometheus/",
        "/prometheus/config",
        "/prometheus/api/v1/labels/../../../../config",
    ),
    *(
        "/api/prom/tail",
        "/api/prom/query",
        "/api/prom/label",
        "/api/prom/series",
        "/api/prom/user_stats",
        "/api/prom/configs/alertmanager",
        "/api/prom/alertmanager/api/v1/alerts",
        "/api/prom/api/v1/alerts/",
        "/api/prom/api/v1/push",
        "/api/prom/api/v1/otlp/v1/metrics",
        "/api/prom/api/v1/user_stats",
        "/api/prom/api/v1/status/config",
        "/api/prom/api/v1/rules/a",
        "/api/prom/rules/a/b/c",
        "/api/prom/rules/",
        "/api/prom/rules;x",
        "/API/PROM/RULES",
        "/rules",
        "/rules/a",
        "/config/v1/rules",
        "/api/v2/status",
        "/api/v2/silences",
        "/api/v1/user_stats",
        "/api/v1/chunks",
        "/purger/delete_tenant",
        "/loki/api/v1/",
    ),
    *("/api/v1/push/../../config", "/api/v1/../../config", "/api/v1/%2e%2e/%2e%2e/config", "//config", "/./config"),
    *("/api/v1/labels/", "/api/v1/pushx", "/debug/pprof/", "/debug/pprof/heap", "/multitenant_alertmanager/status"),
    *("/loki/api/v1", "/log_level", "/compactor/ring", "/api/v1/labels;x", "/API/V1/LABELS"),
    *(
        "/api/v1/labels%20",
        "/api/v1/labels%0d%0aX-Scope-OrgID:%20system",
        "/api/v1/labels%252f..",
        "/stats_config_dump",
    ),
]
REJECTED: dict[str, Answer] = {
    "/api/v1%2fpush": (400, ""),
    "/api/v1/labels/..%2f..%2f..%2fconfig": (400, ""),
    "/api/v1/labels/..%5c..%5cconfig": (400, ""),
    "/api/v1/labels\\..\\..\\config": NOT_OPEN,
    "/../config": NOT_OPEN,
    "/../../../../etc/passwd": NOT_OPEN,
    "/%2e%2e/config": NOT_OPEN,
    "/api/v1/labels%00": (400, ""),
    "/api/v1/labels%00/../../../config": (400, ""),
    "api/v1/labels": BAD_REQUEST,
    "?x": BAD_REQUEST,
    "/api/v1/label/a b/values": BAD_REQUEST,
    "/api/v1/labels#/../../config": (400, ""),
}
# Rule routes alone take escaped slashes; names of dots between them are refused there too.
SLASHES = [
    *(
        f"/api/v1/rules/{name}"
        for name in ("..%2Fa", "a%2F..%2F..%2Fconfig", "a%2f%2e%2e%2Fb", "..%5C..%5Cconfig", ".%2Fa")
    ),
    *("/api/v1/rules%2Fa", "/api/v1%2Frules/a", "/api/v1/rules/a%2Fb/c/d", "/api/v1/rules/a%2Fb/", "/%2Fapi/v1/rules"),
    *("/api/v1/label/a%2Fb/values", "/alertmanager/lib/..%2Fmetrics", "/alertmanager/api/v2/silence/..%2F..%2Falerts"),
    *("/config%2F", "/%2Fconfig", "/api/v1/rules/a%2Fb/../../../../config%2F", "/api/v1/rules/%5C..%5C..%5Cconfig"),
    *(f"/loki/api/v1/rules/{name}" for name in ("..%2Fpush", "a%2F..%2F..%2Fpush", "..%5Cpush", "a%2F%2E%2E/push")),
    *(
        f"/api/prom/rules/{name}"
        for name in ("..%2Fpush", "a%2F..%2F..%2Fpush", "..%5Cpush", "a%2F%2E%2E/push", "..%2Fb")
    ),
    *("/api/prom%2Fpush", "/api/prom/push%2F", "/api/prom/rules/a%2F../push", "/api/prom/labels/..%5Cpush"),
    *("/api/prom/rules%2Fa", "/api/prom%2Frules/a", "/api/prom/api/v1/rules%2Fa", "/prometheus/api/v1/rules%2Fa"),
    *("/prometheus/api/v1/label/a%2Fb/values", "/prometheus%2Fapi/v1/labels", "/api/prom/api/v1/..%2Fpush"),
    *("/loki/api/v1/rules%2Fa", "/loki/api/v1/label/a%2Fb/values", "/loki/api/v1%2Fpush", "/loki/api/v1/push%2F"),
]
RULES: dict[Api, str] = {"cortex": "/api/v1/rules/a%2Fb", "loki": "/loki/api/v1/rules/a%2Fb"}
SAME = ["/api/v1//labels", "/api/v1/./labels", "/x/../api/v1/labels", "/api/v1/label%73", "/%61pi/v1/labels"]
# Routes are exact: the gateway refuses these itself, whatever a back end's router makes of them.
INEXACT = [
    *(f"/loki/api/v1/{path}" for path in ("push/", "push;x", "PUSH", "pushx", "Push", "push.", "push%20", "push%3Bx")),
    *(
        f"/loki/api/v1/{path}"
        for path in ("delete/", "delete/x", "DELETE", "rules/", "rules/a/b/c", "rules/a/", "tail/")
    ),
    *(f"/loki/api/v1/{path}" for path in ("cache/generation_numbers", "labels/x", "label/x", "index", "index/x")),
    *("/loki/api/v1;x/push", "/LOKI/api/v1/push", "/loki/api/v2/push", "/loki/api/v1/tail;x"),
    *(f"/api/v1/{path}" for path in ("push/", "push;x", "PUSH", "push.", "push%20", "rules/", "rules/a/b/c", "RULES")),
    *(f"/api/prom/{path}" for path in ("push/", "push;x", "PUSH", "pushx", "push.", "push%20", "push%3Bx", "push/x")),
    *("/API/prom/push", "/api/PROM/push", "/api/prom;x/push", "/prom/push", "/push"),
    *(
        f"/api/v1/otlp/{path}"
        for path in ("v1/metrics/", "v1/metrics;x", "v1/logs", "v1/traces", "v1", "v1/METRICS", "")
    ),
    *(
        f"/otlp/{path}"
        for path in ("v1/logs/", "v1/logs;x", "v1/metrics", "v1/traces", "v1", "v1/LOGS", "", "v1/logs%20")
    ),
    *(f"/alertmanager/api/v2/{path}" for path in ("", "alerts/", "alerts;x", "ALERTS", "silence/", "silence/a/b", "x")),
]
# At the other end of a URL, where Grafana looks for rules: for whom, and the scope that changes them.
PROM_RULES = "/api/prom/rules/a%2Fb"
STATES: dict[Api, tuple[str, ...]] = {
    "cortex": tuple(f"{start}/api/v1/{name}" for start in ("/api/prom", "/prometheus") for name in ("rules", "alerts")),
    "loki": ("/prometheus/api/v1/rules", "/prometheus/api/v1/alerts"),
}
OTLP: dict[Api, str] = {"cortex": "/api/v1/otlp/v1/metrics", "loki": "/otlp/v1/logs"}
PUSHES: dict[str, Answer] = {
    "/loki/api/v1/push": refused("scope does not cover logs:write"),
    "/loki/api/v1/./push": refused("scope does not cover logs:write"),
    "/loki/api/v1//push": refused("scope does not cover logs:write"),
    "/loki/api/v1/labels/../push": refused("scope does not cover logs:write"),
    "/loki/api/v1/labels/%2e%2e/push": refused("scope does not cover logs:write"),
    "/loki/api/v1/labels/..%2fpush": (400, ""),
    "/loki/api/v1/delete": refused("scope does not cover logs:write"),
    "/loki/api/v1/rules/x": refused("scope does not cover logs:write"),
}
# Where Grafana writes what its recording rules give, and other spellings of it. Loki's old push there is closed.
PROM_PUSH = "/api/prom/push"
PROM_PUSHES = [
    *(
        PROM_PUSH,
        "/api/prom/./push",
        "/api/prom//push",
        "//api/prom/push",
        "/api/prom/%70ush",
        "/api/prom/push?x=/rules",
    ),
    *("/api/prom/rules/../push", "/api/prom/rules/%2e%2e/push", "/api/prom/api/v1/../../push"),
]
NOBODY = "cortex.nosuch.DOMAIN"
OTHERS = refused("unexpected tenant: system")
ALERTING = ("/api/v1/alerts", "/alertmanager/", "/alertmanager/api/v2/alerts", "/alertmanager/lib/x")


def _by_another_tenant(name: str, path: str, api: Api = "cortex") -> Case:
    return Case(
        f"{name}, with another tenant's token", OTHERS, Forgery(claims={"sub": "tenant-system"}), target=path, api=api
    )


TABLE = [
    *(Case(path, NO_ALERTMANAGER, target=path) for path in ALERTING),
    *(Case(f"loki: {path}", NOT_OPEN, target=path, api="loki") for path in ALERTING),
    *(Case(f"{path}, without a token", MISSING, target=path, headers=()) for path in ALERTING),
    *(
        Case(
            f"{method} {path}, for reading alone",
            refused("scope does not cover metrics:write"),
            Forgery(claims={"scope": "metrics:read"}),
            target=path,
            method=method,
            body="{}",
        )
        for path in ("/api/v1/alerts", "/alertmanager/api/v2/silences", "/alertmanager/api/v2/silence/1")
        for method in ("POST", "DELETE", "PUT")
    ),
    *(Case(f"{api}: {path}", NOT_OPEN, target=path, api=api) for path in CLOSED for api in APIS),
    *(
        Case(f"{method} {api}: {path}", NOT_OPEN, target=path, api=api, method=method)
        for path in INEXACT
        for api in APIS
        for method in ("GET", "POST")
    ),
    *(Case(f"{path}, without a token", MISSING, target=path, headers=()) for path in (*CLOSED, *INEXACT)),
    *(
        Case(f"{path} of a tenant that is not there, without a token", MISSING, target=path, headers=(), host=NOBODY)
        for path in (*CLOSED, *INEXACT)
    ),
    *(
        Case(
            f"{path} of a tenant that is not there",
            (404, "no such tenant"),
            Forgery(claims={"sub": "tenant-nosuch"}),
            target=path,
            host=NOBODY,
        )
        for path in ("/config", "/ready", "/api/v1/push/")
    ),
    Case("a closed path, with a token for logs", NOT_OPEN, Forgery(claims={"scope": "logs:read"}), target="/config"),
    Case("a closed path, with a token of a scope that is none", NOT_OPEN, Forgery(claims={"scope": "x"}), target="/x"),
    _by_another_tenant("a closed path", "/x"),
    Case("a closed path, with a bad token", BAD, Forgery(by="stranger"), target="/config"),
    *(Case(path, answer, target=path) for path, answer in REJECTED.items()),
    *(Case(f"{api}: {path}", (400, ""), target=path, api=api, method="POST") for path in SLASHES for api in APIS),
    *(
        _by_another_tenant(path, path)
        for path in ("/api/v1/rules/a%2Fb", "/api/v1/rules/system%2F", "/api/v1/label/a%2Fb/values")
    ),
    *(Case(f"{path}, without a token", MISSING, target=path, headers=()) for path in ("/api/v1/rules/a%2Fb", "/%2F")),
    *(
        Case(
            f"POST {path}, for reading alone",
            refused(f"scope does not cover {'logs' if api == 'loki' else 'metrics'}:write"),
            Forgery(claims={"scope": "metrics:read logs:read"}),
            target=path,
            method="POST",
            api=api,
        )
        for api, path in RULES.items()
    ),
    *(
        Case(
            f"POST {path}, for reading alone",
            refused(f"scope does not cover {'logs' if api == 'loki' else 'metrics'}:write"),
            Forgery(claims={"scope": "metrics:read logs:read"}),
            target=path,
            method="POST",
            api=api,
            body="{}",
        )
        for api, path in OTLP.items()
    ),
    *(Case(f"{path}, without a token", MISSING, target=path, headers=(), api=api) for api, path in OTLP.items()),
    *(_by_another_tenant(path, path, api) for api, path in OTLP.items()),
    *(
        Case(
            f"{method} {api}: {PROM_RULES}, for reading alone",
            refused(f"scope does not cover {'logs' if api == 'loki' else 'metrics'}:write"),
            Forgery(claims={"scope": "metrics:read logs:read"}),
            target=PROM_RULES,
            method=method,
            api=api,
            body="{}",
        )
        for api in APIS
        for method in ("POST", "DELETE", "PUT", "PATCH")
    ),
    *(
        Case(
            f"{api}: {path}, for the other API alone",
            refused(f"scope does not cover {'logs' if api == 'loki' else 'metrics'}:read"),
            Forgery(claims={"scope": "metrics:read metrics:write" if api == "loki" else "logs:read logs:write"}),
            target=path,
            api=api,
        )
        for api, paths in STATES.items()
        for path in (*paths, "/api/prom/rules")
    ),
    *(
        Case(f"{api}: {path}, without a token", MISSING, target=path, api=api, headers=())
        for api, paths in STATES.items()
        for path in (*paths, PROM_RULES)
    ),
    *(
        _by_another_tenant(f"{api}: {path}", path, api)
        for api, paths in STATES.items()
        for path in (*paths, PROM_RULES)
    ),
    *(Case(path, ARRIVES, target=path) for path in SAME),
    *(
        Case(
            f"{method} {path}, for everything else",
            refused("scope does not cover metrics:write"),
            Forgery(claims={"scope": "metrics:read logs:read logs:write"}),
            target=path,
            method=method,
            body="{}" if method == "POST" else "",
        )
        for path in PROM_PUSHES
        for method in ("GET", "POST")
    ),
    *(_by_another_tenant(path, path) for path in PROM_PUSHES),
    *(Case(f"{path}, without a token", MISSING, target=path, headers=()) for path in PROM_PUSHES),
    *(
        Case(f"{method} loki: {path}", NOT_OPEN, target=path, api="loki", method=method)
        for path in PROM_PUSHES
        for method in ("GET", "POST")
    ),
    *(
        Case(
            f"{path}, for reading alone",
            answer,
            Forgery(claims={"scope": "logs:read"}),
            target=path,
            api="loki",
            method="POST",
            body="{}",
        )
        for path, answer in PUSHES.items()
    ),
    # The gateway does not read much larger requests to their end, so its answer can be lost.
    Case("a path of 18 KB", (431, "Request Header Fields Too Large"), target=LABELS["cortex"] + "a" * 18_000),
    Case("a query of 18 KB", (431, "Request Header Fields Too Large"), target=LABELS["cortex"] + "?" + "a" * 18_000),
    Case("a query of 10 KB", ARRIVES, target=LABELS["cortex"] + "?" + "a" * 10_000),
]
