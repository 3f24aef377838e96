"""Headers and hosts with excess or wrong content."""

from typing import Any

from components.core.names import Api
from tests.security.case import (
    ARRIVES,
    BAD,
    BAD_REQUEST,
    FORM,
    LABELS,
    MISSING,
    NO_ALERTMANAGER,
    NO_TENANT,
    NOT_OPEN,
    Case,
    refused,
)
from tests.support.raw_client import Answer
from tests.support.token_variants import Forgery
from tests.support.user_session import INSTANCE

TOKEN = "Authorization: Bearer TOKEN"
SYSTEM = refused("unexpected tenant: default")
RULES = "/api/v1/rules"
HERE = "http://cortex.default.DOMAIN/api/v1/labels"
UPGRADE = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + "A" * 22 + "==",
]
TAIL = "/loki/api/v1/tail?query=%7Ba%3D%22b%22%7D"

AUTHORIZATION = [
    Case("no header", MISSING, headers=[]),
    Case("an empty header", MISSING, headers=["Authorization:"]),
    Case("a blank header", MISSING, headers=["Authorization:   "]),
    Case("letters before Bearer", FORM, headers=["Authorization: XXBearer TOKEN"]),
    Case("bearer in small letters", ARRIVES, headers=["Authorization: bearer TOKEN"]),
    Case("BEARER in capitals", ARRIVES, headers=["Authorization: BEARER TOKEN"]),
    Case("bearer in mixed letters, and a bad token", BAD, headers=["Authorization: bEaReR a.b.c"]),
    Case("bearer in small letters and a tab", FORM, headers=["Authorization: bearer\tTOKEN"]),
    Case("bearer in small letters and two blanks", FORM, headers=["Authorization: bearer  TOKEN"]),
    Case(
        "bearer in small letters, twice", FORM, headers=["Authorization: bearer TOKEN", "Authorization: bearer TOKEN"]
    ),
    Case("bearer in small letters, then Bearer", FORM, headers=["Authorization: bearer TOKEN", TOKEN]),
    Case("Bearer, then bearer in small letters", FORM, headers=[TOKEN, "Authorization: bearer TOKEN"]),
    Case("Bearer in full-width letters", FORM, headers=["Authorization: \uff22earer TOKEN"]),
    Case("two blanks", FORM, headers=["Authorization: Bearer  TOKEN"]),
    Case("a tab", FORM, headers=["Authorization: Bearer\tTOKEN"]),
    Case("Bearer alone", FORM, headers=["Authorization: Bearer"]),
    Case("the token alone", FORM, headers=["Authorization: TOKEN"]),
    Case("something after the token", FORM, headers=["Authorization: Bearer TOKEN x"]),
    Case("two tokens", FORM, headers=["Authorization: Bearer TOKEN TOKEN"]),
    Case("two tokens with a comma", FORM, headers=["Authorization: Bearer TOKEN,TOKEN"]),
    Case("two tokens with a comma and Bearer", FORM, headers=["Authorization: Bearer TOKEN, Bearer TOKEN"]),
    Case("two headers", FORM, headers=[TOKEN, TOKEN]),
    Case("two headers, the first bad", FORM, headers=["Authorization: Bearer a.b.c", TOKEN]),
    Case("two headers, the second bad", FORM, headers=[TOKEN, "Authorization: Bearer a.b.c"]),
    Case("two headers, the first empty", ARRIVES, headers=["Authorization:", TOKEN]),
    Case("two headers, the second Basic", FORM, headers=[TOKEN, "Authorization: Basic eDp5"]),
    Case("two headers, the first Basic", FORM, headers=["Authorization: Basic eDp5", TOKEN]),
    Case("the token in another header", MISSING, headers=["Proxy-Authorization: Bearer TOKEN"]),
    Case("the token in X-Authorization", MISSING, headers=["X-Authorization: Bearer TOKEN"]),
    Case("the token in a cookie", MISSING, headers=["Cookie: access_token=TOKEN; Authorization=TOKEN"]),
    Case("the token in the URL", MISSING, headers=[], target="/api/v1/labels?access_token=TOKEN"),
    Case("the token as a form's field", MISSING, headers=[], method="POST", body="access_token=TOKEN"),
    Case("Digest", FORM, headers=["Authorization: Digest username=default"]),
    Case("Negotiate", FORM, headers=["Authorization: Negotiate TOKEN"]),
    Case("Basic with the token as password", ARRIVES, headers=["Authorization: Basic BASIC"]),
    Case("Basic twice", FORM, headers=["Authorization: Basic BASIC", "Authorization: Basic BASIC"]),
    Case("Basic with the token as password, and more", FORM, headers=["Authorization: Basic BASIC x"]),
    Case("Basic with a wrong password", FORM, headers=["Authorization: Basic eDp5"]),
    Case("Basic without a password", FORM, headers=["Authorization: Basic eA=="]),
    Case("Basic with nothing", FORM, headers=["Authorization: Basic "]),
    Case("Basic that is not base64", FORM, headers=["Authorization: Basic !!!!"]),
    Case("Basic with a line's end", FORM, headers=["Authorization: Basic eDp5DQpYLVNjb3BlLU9yZ0lEOiBzeXN0ZW0="]),
    Case("Basic in small letters", FORM, headers=["Authorization: basic eDp5"]),
    Case("Basic in small letters, with the token", ARRIVES, headers=["Authorization: basic BASIC"]),
    Case("Basic in small letters, twice", FORM, headers=["Authorization: basic BASIC", "Authorization: Basic BASIC"]),
    Case("Basic with the token and a line's end", ARRIVES, headers=["Authorization: Basic BASIC_LINE"]),
    Case("Basic with the token and a header", FORM, headers=["Authorization: Basic BASIC_HEADER"]),
    Case("a token that Lua would run", FORM, headers=['Authorization: Bearer "..os.exit().."']),
    Case("a null byte", BAD_REQUEST, headers=["Authorization: Bearer TOKEN\0"]),
]

CLAIMED = [
    *(
        Case(f"{name} without a token", MISSING, headers=[f"{name}: default"])
        for name in ("X-Scope-OrgID", "x-opstrace-tenant", "x-envoy-original-path", "X-Forwarded-User")
    ),
    *(
        Case(f"{name}: {value}", ARRIVES, headers=[f"{name}: {value}", TOKEN, f"{name}: {value}"], api="loki")
        for name in (
            "X-Scope-OrgID",
            "x-scope-orgid",
            "X-SCOPE-ORGID",
            "X_Scope_OrgID",
            "X-Scope_OrgID",
            "X-Scope-OrgId",
        )
        for value in ("system", "default|system")
    ),
    *(
        Case(f"{name}: {value}", ARRIVES, headers=[f"{name}: {value}", TOKEN], api="loki")
        for name, value in (
            ("x-opstrace-tenant", "system"),
            ("x-opstrace-upstream", "loki.system-tenant.svc.cluster.local"),
            ("X-Opstrace-Upstream", "169.254.169.254"),
            ("x-envoy-original-dst-host", "169.254.169.254:80"),
            ("x-envoy-original-path", "/config"),
            ("x-envoy-upstream-alt-stat-name", "a"),
            (
                "x-envoy-retry-on",
                "retriable-status-codes\r\nx-envoy-retriable-status-codes: 200\r\nx-envoy-max-retries: 5",
            ),
            ("X-Original-URL", "/config"),
            ("X-Rewrite-URL", "/config"),
            ("X-Forwarded-Host", "loki.system.DOMAIN"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("Forwarded", "host=loki.system.DOMAIN"),
            ("Connection", "close, X-Scope-OrgID"),
            ("Connection", "close, x-opstrace-upstream"),
        )
    ),
    Case("a Connection header that takes the token away", MISSING, headers=["Connection: close, Authorization", TOKEN]),
    Case("X-Scope-OrgID with a blank before its colon", BAD_REQUEST, headers=["X-Scope-OrgID : system", TOKEN]),
    Case("X-Scope-OrgID with a line of its own", ARRIVES, headers=["X-Scope-OrgID:", " system", TOKEN]),
]

HOSTS = [
    Case("another tenant's host", SYSTEM, host="cortex.system.DOMAIN"),
    Case("another tenant's host, in capitals", SYSTEM, host="CORTEX.SYSTEM.DOMAIN"),
    Case("an unknown tenant", SYSTEM, host="cortex.nosuch.DOMAIN"),
    Case(
        "an unknown tenant, with its token",
        NO_TENANT,
        Forgery(claims={"sub": "tenant-nosuch"}),
        host="cortex.nosuch.DOMAIN",
    ),
    Case("a tenant with a full stop", NO_TENANT, host="cortex.default.system.DOMAIN"),
    Case("a tenant with a hyphen", NO_TENANT, host="cortex.default-tenant.DOMAIN"),
    Case("no tenant", NO_TENANT, host="cortex..DOMAIN"),
    Case("the instance's own name", NOT_OPEN, host="DOMAIN"),
    Case("another domain", NO_TENANT, host="cortex.default.evil.example.com"),
    Case("another domain that ends so", NO_TENANT, host="cortex.default.evil-DOMAIN"),
    Case("this domain and more", NO_TENANT, host="cortex.default.DOMAIN.evil.example.com"),
    Case("this domain with another dot", NO_TENANT, host=f"cortex.default.{INSTANCE}xopstrace.localhost"),
    Case("a user before the host", NO_TENANT, host="x@cortex.default.DOMAIN"),
    Case("the address of the cloud's metadata", NO_TENANT, host="169.254.169.254"),
    Case("localhost", NO_TENANT, host="localhost"),
    Case("the back end's own name", NO_TENANT, host="cortex.default-tenant.svc.cluster.local"),
    Case("a wildcard", NO_TENANT, host="cortex.*.DOMAIN"),
    Case("a path in the host", BAD_REQUEST, host="cortex.default.DOMAIN/../system"),
    Case("a host in Cyrillic", BAD_REQUEST, host="cortex.d\u0435fault.DOMAIN"),
    Case("no host's value", NO_TENANT, host=""),
    Case("an end that is a dot", ARRIVES, host="cortex.default.DOMAIN."),
    Case("an end that is a dot, and a port", ARRIVES, host="cortex.default.DOMAIN.:8443"),
    Case("another tenant's host with a dot at its end", SYSTEM, host="cortex.system.DOMAIN."),
    Case("an end that is two dots", NO_TENANT, host="cortex.default.DOMAIN.."),
    Case("a dot behind the port", NO_TENANT, host="cortex.default.DOMAIN:8443."),
    Case("a dot before the tenant", NO_TENANT, host="cortex..default.DOMAIN"),
    Case("another domain behind a dot", NO_TENANT, host="cortex.default.DOMAIN.evil.example.com."),
    Case("the instance's own name with two dots at its end", NO_TENANT, host="DOMAIN..", target=RULES),
    Case("another API's path", NOT_OPEN, target=LABELS["loki"]),
    Case("two hosts", NO_TENANT, headers=["Host: cortex.system.DOMAIN", TOKEN]),
    Case("an absolute target of another tenant", SYSTEM, target="http://cortex.system.DOMAIN/api/v1/labels"),
    Case("an absolute target of another API", NOT_OPEN, target="http://loki.default.DOMAIN/api/v1/labels"),
    Case("an absolute target elsewhere", NO_TENANT, target="http://169.254.169.254/latest/meta-data/"),
    Case("an absolute target with a user", ARRIVES, target="http://a@cortex.default.DOMAIN/api/v1/labels"),
    Case("an absolute target, the host another's", ARRIVES, target=HERE, host="cortex.system.DOMAIN"),
    Case(
        "another tenant's absolute target, the host right", SYSTEM, target="http://cortex.system.DOMAIN/api/v1/labels"
    ),
    Case(
        "an absolute target by HTTPS, of which the gateway sees none",
        (403, "Forbidden"),
        target=HERE.replace("http", "https"),
    ),
    Case("an absolute target of another scheme", BAD_REQUEST, target="gopher://cortex.default.DOMAIN/api/v1/labels"),
    Case("a target with two slashes", NOT_OPEN, target="//cortex.system.DOMAIN/api/v1/labels"),
    Case("a capital in the tenant", ARRIVES, host="cortex.DEFAULT.DOMAIN"),
    Case("a port", ARRIVES, host="cortex.default.DOMAIN:1"),
]

METHODS = [
    *(
        Case(f"{method} without a token", MISSING, method=method, headers=[])
        for method in ("POST", "PUT", "DELETE", "PATCH")
    ),
    Case("CONNECT", NO_TENANT, method="CONNECT", target="cortex.default.DOMAIN:443"),
    Case("CONNECT elsewhere", NO_TENANT, method="CONNECT", target="169.254.169.254:80"),
    Case("TRACE without a token", MISSING, method="TRACE", headers=[]),
    Case("OPTIONS without a token", MISSING, method="OPTIONS", headers=[]),
    Case("OPTIONS of everything", (404, ""), method="OPTIONS", target="*"),
    Case("a method that does not exist", BAD_REQUEST, method="FROBNICATE", headers=[]),
    Case("a method in small letters", BAD_REQUEST, method="get"),
    Case("an empty method", BAD_REQUEST, method=""),
    Case("a method of 10 KB", BAD_REQUEST, method="A" * 10_000),
    Case("the preface of HTTP/2, as a method", BAD_REQUEST, method="PRI", target="*"),
]


def _websocket(
    name: str, answers: Answer, headers: list[str], target: str = TAIL, api: Api = "loki", **more: Any
) -> Case:
    return Case(name, answers, headers=headers, target=target, api=api, **more)


WEBSOCKETS = [
    _websocket("a websocket without a token", MISSING, UPGRADE),
    _websocket(
        "a websocket with another tenant's token",
        refused("unexpected tenant: system"),
        [TOKEN, *UPGRADE],
        token=Forgery(claims={"sub": "tenant-system"}),
    ),
    _websocket("a websocket with the token as protocol", MISSING, [*UPGRADE, "Sec-WebSocket-Protocol: Bearer, TOKEN"]),
    _websocket("a websocket with the token in the URL", MISSING, UPGRADE, target=TAIL + "&access_token=TOKEN"),
    _websocket(
        "a websocket with a token for writing",
        refused("scope does not cover logs:read"),
        [TOKEN, *UPGRADE],
        token=Forgery(claims={"scope": "logs:write"}),
    ),
    *(
        _websocket(
            f"a websocket with a bad token, and {name}", BAD, [TOKEN, *UPGRADE, header], token=Forgery(by="stranger")
        )
        for name, header in (
            ("a version of its own", "x-opstrace-version: 0"),
            ("a time of its own", "grpc-timeout: 99999999H"),
        )
    ),
    _websocket(
        "a websocket of a tenant that is not there",
        NO_TENANT,
        [TOKEN, *UPGRADE],
        token=Forgery(claims={"sub": "tenant-nosuch"}),
        host="loki.nosuch.DOMAIN",
    ),
    *(
        _websocket(f"another upgrade, {name}", (403, ""), [TOKEN, "Connection: Upgrade", f"Upgrade: {name}"])
        for name in ("websocket, h2c", "websocketx")
    ),
    _websocket("a websocket elsewhere", (403, ""), [TOKEN, *UPGRADE], target=LABELS["loki"]),
    _websocket("another upgrade", (403, ""), [TOKEN, "Connection: Upgrade", "Upgrade: tls"]),
    _websocket(
        "an upgrade to HTTP/2",
        ARRIVES,
        [TOKEN, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
        target=LABELS["loki"],
    ),
]
NO_RULES: Answer = (404, "no rule groups found\n")  # Cortex's answer to a good request


def _rules(name: str, answers: Answer, *headers: str, target: str = RULES, **more: Any) -> Case:
    """Return a request for rules at the instance's own name."""
    return Case(f"rules: {name}", answers, headers=headers or [TOKEN], host="DOMAIN", target=target, **more)


INSTANCE_NAME = [
    _rules("of the token's tenant", NO_RULES, perhaps=1),
    *(
        _rules(f"{name}: {value}", NO_RULES, f"{name}: {value}", TOKEN, f"{name}: {value}", perhaps=1)
        for name, value in (
            ("X-Scope-OrgID", "system"),
            ("x-opstrace-tenant", "system"),
            ("X_Opstrace_Tenant", "system"),
            ("x-opstrace-upstream", "cortex.system-tenant.svc.cluster.local"),
            ("x-opstrace-upstream", "169.254.169.254"),
            ("Connection", "close, x-opstrace-tenant"),
            ("X-Forwarded-Host", "cortex.system.DOMAIN"),
        )
    ),
    Case("rules: the name ends with a dot", NO_RULES, host="DOMAIN.", target=RULES, perhaps=1),
    _rules("no token", MISSING, "Accept: */*"),
    _rules("no token, but a tenant", MISSING, "X-Scope-OrgID: system", "x-opstrace-tenant: system"),
    _rules("two tokens", FORM, TOKEN, TOKEN),
    _rules("no subject", BAD, token=Forgery(claims={"sub": ""})),
    _rules("a subject with a path", BAD, token=Forgery(claims={"sub": "tenant-default/../system"})),
    _rules("a subject with a host", BAD, token=Forgery(claims={"sub": "tenant-default.svc.cluster.local"})),
    _rules("an unknown tenant", NO_TENANT, token=Forgery(claims={"sub": "tenant-nosuch"})),
    _rules("another instance's token", BAD, token=Forgery(claims={"aud": "opstrace-cluster-other"})),
    _rules(
        "a token for logs", refused("scope does not cover metrics:read"), token=Forgery(claims={"scope": "logs:read"})
    ),
    _rules("a push", NOT_OPEN, target="/api/v1/push", method="POST"),
    _rules("the Alertmanager's configuration", NO_ALERTMANAGER, target="/api/v1/alerts"),
    _rules("the Alertmanager's configuration, without a token", MISSING, "Accept: */*", target="/api/v1/alerts"),
    _rules("the Alertmanager's pages", NOT_OPEN, target="/alertmanager/"),
    _rules("past the rules", NOT_OPEN, target=f"{RULES}/../labels"),
]

TABLE = [*AUTHORIZATION, *CLAIMED, *HOSTS, *METHODS, *WEBSOCKETS, *INSTANCE_NAME]
