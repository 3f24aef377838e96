"""Paths to what is not open, and other spellings of what is."""

from components.names import Api
from tests.security.case import (
    ARRIVES,
    BAD_REQUEST,
    LABELS,
    MISSING,
    NO_ALERTMANAGER,
    NO_TENANT,
    Answer,
    Case,
    refused,
)
from tests.security.forge import Forgery

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
        "/prometheus/api/v1/labels",
    ),
    *(
        "/api/prom/push",
        "/api/prom/tail",
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
    "/api/v1/labels\\..\\..\\config": NO_TENANT,
    "/../config": NO_TENANT,
    "/../../../../etc/passwd": NO_TENANT,
    "/%2e%2e/config": NO_TENANT,
    "/api/v1/labels%00": (400, ""),
    "/api/v1/labels%00/../../../config": (400, ""),
    "api/v1/labels": BAD_REQUEST,
    "?x": BAD_REQUEST,
    "/api/v1/label/a b/values": BAD_REQUEST,
    "/api/v1/labels#/../../config": (400, ""),
}
SAME = ["/api/v1//labels", "/api/v1/./labels", "/x/../api/v1/labels", "/api/v1/label%73", "/%61pi/v1/labels"]
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
ALERTING = ("/api/v1/alerts", "/alertmanager/", "/alertmanager/api/v2/alerts", "/alertmanager/lib/x")
TABLE = [
    *(Case(path, NO_ALERTMANAGER, target=path) for path in ALERTING),
    *(Case(f"loki: {path}", NO_TENANT, target=path, api="loki") for path in ALERTING),
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
    *(Case(f"{api}: {path}", NO_TENANT, target=path, api=api) for path in CLOSED for api in APIS),
    *(Case(path, answer, target=path) for path, answer in REJECTED.items()),
    *(Case(path, ARRIVES, target=path) for path in SAME),
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
    Case("a path of 100 KB", (431, "Request Header Fields Too Large"), target=LABELS["cortex"] + "?" + "a" * 100_000),
    Case("a query of 20 KB", ARRIVES, target=LABELS["cortex"] + "?" + "a" * 20_000),
]
