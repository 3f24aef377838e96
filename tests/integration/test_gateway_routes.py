"""Which requests the gateway forwards, by the real Envoy: paths, hosts, scopes and spellings."""

import base64
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from components.core.scopes import KeyLimits, Scope
from components.gateway.envoy import bootstrap
from components.gateway.limits import GatewayLimits, Rate, TenantRates
from components.gateway.lua_filters import TURN_SECONDS
from components.gateway.routes import RETRIES
from scripts.tokens.signing import Grant, Signer
from tests.support.gateway import (
    BAD,
    BOTH,
    LABELS,
    LOKI_LABELS,
    LOKI_PUSH,
    OTHER_KEY,
    PUSH,
    RULES,
    SETTINGS,
    Gateway,
    Variant,
    signed,
)

NOT_OPEN = (404, "this path is not open")


def test_a_plain_token_opens_all_of_its_tenant_and_nothing_else(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    token = signed()
    for path in (LABELS, PUSH, LOKI_LABELS, LOKI_PUSH, "/loki/api/v1/tail"):
        assert gateway.ask(token, path) == (200, "ok"), path
    assert {entry.split()[0] for entry in gateway.back_end.requests} == {"default"}
    assert gateway.ask(token, tenant="other") == (401, f"{BAD}: unexpected tenant: default")
    assert gateway.ask(token, "/config") == NOT_OPEN
    assert len(gateway.back_end.requests) == 5


@pytest.mark.parametrize("name", ["X-Scope-OrgID", "x-opstrace-tenant", "X_Scope_OrgID"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_client_s_own_tenant_headers_are_removed(gateway: Gateway, name: str, times: int) -> None:
    gateway.set_keys()
    gateway.start()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    connection.putrequest("GET", LABELS, skip_host=True)
    headers = [(name, "system")] * times
    host = ("Host", "cortex.default.showdown.example.com")
    for header, value in [*headers, host, ("Authorization", f"Bearer {signed()}"), *headers]:
        connection.putheader(header, value)
    connection.endheaders()
    assert connection.getresponse().status == 200
    connection.close()
    assert {entry.split()[0] for entry in gateway.back_end.requests} == {"default"}


def test_without_a_key_every_request_is_refused(gateway: Gateway) -> None:
    gateway.set_keys({})
    gateway.start()
    assert gateway.ask(None) == (401, "Authorization header missing or invalid")
    assert gateway.ask(signed()) == (401, BAD)


def test_without_authentication_the_host_names_the_tenant_and_credentials_are_removed(
    gateway: Gateway,
) -> None:
    gateway.limit(GatewayLimits())
    gateway.start(replace(SETTINGS, authentication=False))
    assert gateway.is_ready()
    gateway.back_end.credentials.clear()
    gateway.back_end.requests.clear()
    for token in (None, "nonsense", signed(tenant="other")):
        assert gateway.ask(token) == (200, "ok")
    pool = gateway.http.connection_from_host("127.0.0.1", gateway.port)
    headers = {"Host": "loki.alpha.showdown.example.com", "X-Scope-OrgID": "default"}
    assert pool.urlopen("GET", LOKI_LABELS, headers=headers, assert_same_host=False).status == 200
    assert gateway.back_end.requests == [f"default GET /prometheus{LABELS}"] * 3 + [f"alpha GET {LOKI_LABELS}"]
    assert gateway.back_end.credentials == [None] * 4
    assert gateway.ask(None, "/metrics")[0] == 404
    assert gateway.ask(None, RULES[0], Host="showdown.example.com")[0] == 404  # without a token there is no tenant


def test_the_name_of_a_tenant_is_forgotten_before_its_turn_comes_again() -> None:
    """Even while a request without a connection is retried: each retry uses the name again.

    The request waits for the name, and the name is looked up once more before it is forgotten.
    """
    config = json.loads(bootstrap(SETTINGS))
    (cluster,) = (one for one in config["static_resources"]["clusters"] if one["name"] == "tenant")
    cache = cluster["cluster_type"]["typed_config"]["dns_cache_config"]
    base, longest = (seconds_of(RETRIES["retry_back_off"][name]) for name in ("base_interval", "max_interval"))
    waits = [min(base * 2**number, longest) for number in range(RETRIES["num_retries"])]
    tried = RETRIES["num_retries"] * seconds_of(cluster["connect_timeout"]) + sum(waits)
    forgotten = sum(seconds_of(cache[name]) for name in ("dns_query_timeout", "host_ttl", "dns_refresh_rate"))
    assert seconds_of(cache["dns_query_timeout"]) + tried + forgotten < TURN_SECONDS


def test_the_name_is_that_of_the_turn_in_which_a_request_is_whole(gateway: Gateway) -> None:
    """However long its body takes: the name of an earlier turn would be used after its end."""
    seconds = 3
    gateway.set_keys()
    gateway.limit(GatewayLimits(TenantRates(bytes=Rate(10**6, 10**6))))  # so that a body in pieces is buffered
    gateway.start(variant=Variant(turn_seconds=seconds))

    def body() -> Iterator[bytes]:
        yield b"x"
        time.sleep((turn + 1) * seconds + 0.5 - time.time())
        yield b"y"

    for _ in range(2):
        turn = int(time.time() / seconds)
        assert gateway.ask(signed(), PUSH, "POST", body=body()) == (200, "ok")
        assert gateway.back_end.names[-1].endswith(".") == bool((turn + 1) % 2)


def seconds_of(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_slow_requests_time_out_and_the_admin_port_is_on_loopback() -> None:
    config = json.loads(bootstrap(SETTINGS))
    (http,) = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    assert (http["typed_config"]["request_headers_timeout"], http["typed_config"]["request_timeout"]) == ("2s", "60s")
    assert config["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


WRITES = {
    PUSH: "metrics:write",
    "/api/prom/push": "metrics:write",
    LOKI_PUSH: "logs:write",
    "/api/v1/otlp/v1/metrics": "metrics:write",
}

READS = {
    **{f"/api/v1/{path}": "metrics:read" for path in ("query", "query_range", "series", "labels", "metadata", "read")},
    "/api/v1/label/a/values": "metrics:read",
    **dict.fromkeys(RULES, "metrics:read"),
    **{f"/api/v1/{path}": "metrics:read" for path in ("query_exemplars", "format_query", "parse_query")},
    **dict.fromkeys(("/prometheus/api/v1/rules", "/prometheus/api/v1/query", "/api/prom/rules"), "metrics:read"),
    **dict.fromkeys(("/api/prom/api/v1/alerts", "/api/prom/api/v1/query_exemplars"), "metrics:read"),
    **{f"/loki/api/v1/{path}": "logs:read" for path in ("query_range", "labels", "tail", "rules", "delete")},
    **{f"/loki/api/v1/{path}": "logs:read" for path in ("label", "label/a/values", "index/volume_range", "patterns")},
}


@pytest.mark.parametrize("host", ["showdown.example.com", "SHOWDOWN.example.com:8443"])
def test_at_the_instance_s_own_name_a_token_s_rules_are_its_tenant_s(gateway: Gateway, host: str) -> None:
    gateway.set_keys(BOTH, ["revoked-token"], other=KeyLimits(tenants=("other",)))
    gateway.start()
    for tenant in ("default", "other"):
        assert gateway.ask(signed(tenant=tenant), "/api/v1/rules/team", Host=host) == (200, "ok")
        assert gateway.back_end.requests.pop() == f"{tenant} GET /api/v1/rules/team"
    reading = signed(scopes=("metrics:read",))
    assert gateway.ask(reading, "/api/v1/rules", Host=host) == (200, "ok")
    gateway.back_end.requests.clear()
    refused = (401, f"{BAD}: scope does not cover metrics:write")
    assert gateway.ask(reading, "/api/v1/rules/team", "POST", Host=host) == refused
    assert gateway.ask(None, "/api/v1/rules", Host=host) == (401, "Authorization header missing or invalid")
    assert gateway.ask(signed(id="revoked-token"), "/api/v1/rules", Host=host) == (401, f"{BAD}: revoked")
    limited = Signer(OTHER_KEY).token(Grant(instance="showdown", tenant="default"))
    assert gateway.ask(limited, "/api/v1/rules", Host=host) == (401, f"{BAD}: its key may not speak for this tenant")
    for path in (
        LABELS,
        PUSH,
        "/alertmanager/",
        "/alertmanager/api/v2/alerts",
        "/",
        "/api/v1/rulesets",
        "/config",
        "/api/prom/rules",
        "/api/prom/push",
    ):
        assert gateway.ask(signed(), path, Host=host) == NOT_OPEN, path
    for other in (f"x{host}", f"x.{host}", "showdown.example.com.example.org", "showdown-example.com"):
        assert gateway.ask(signed(), "/api/v1/rules", Host=other)[0] == 404, other
    assert gateway.back_end.requests == []


@pytest.mark.parametrize("host", ["cortex.default.showdown.example.com", "showdown.example.com"])
def test_where_alerts_are_sent_is_the_alertmanager_s_and_rules_are_cortex_s(gateway: Gateway, host: str) -> None:
    gateway.set_keys()
    gateway.start()
    reading, writing = "metrics:read", "metrics:write"
    for path, service, scopes in (
        ("/api/v1/alerts", "alertmanager", (writing, writing, writing)),  # the configuration holds passwords
        ("/api/v1/rules/team", "cortex", (reading, writing, writing)),
    ):
        for method, scope in zip(("GET", "POST", "DELETE"), scopes, strict=True):
            assert gateway.ask(signed(scopes=(scope,)), path, method, Host=host) == (200, "ok"), (path, method)
            assert gateway.back_end.service() == f"{service}.default-tenant.svc.cluster.local"
            others = tuple({reading, writing, "logs:read", "logs:write"} - {scope})
            assert gateway.ask(signed(scopes=others), path, method, Host=host)[0] == 401, (path, method)


def test_a_tenant_s_alertmanager_has_its_pages_and_their_api_and_nothing_else(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    reading = signed(scopes=("metrics:read",))
    for path in ("", "script.js", "favicon.ico", "lib/bootstrap/bootstrap.min.css", "api/v2/silences?filter=a"):
        assert gateway.ask(reading, f"/alertmanager/{path}") == (200, "ok"), path
        assert gateway.back_end.service() == "alertmanager.default-tenant.svc.cluster.local"
    refused = (401, f"{BAD}: scope does not cover metrics:write")
    assert gateway.ask(reading, "/alertmanager/api/v2/silences", "POST") == refused
    assert gateway.ask(signed(), "/alertmanager/api/v2/silence/1", "DELETE") == (200, "ok")
    gateway.back_end.requests.clear()
    for path in (
        "metrics",
        "-/reload",
        "-/ready",
        "debug/pprof/",
        "api/v1/alerts",
        "status",
        "../multitenant_alertmanager",
    ):
        assert gateway.ask(signed(), f"/alertmanager/{path}", "POST") == NOT_OPEN, path
    assert gateway.back_end.requests == []


def _headers(gateway: Gateway, path: str, method: str = "GET", **more: str) -> tuple[int, Any]:
    """Return status and headers of an answer; `_` in the names of headers means `-`."""
    headers = {"Host": "cortex.default.showdown.example.com"} | {key.replace("_", "-"): more[key] for key in more}
    pool = gateway.http.connection_from_host("127.0.0.1", gateway.port)
    answer = pool.urlopen(method, path, headers=headers, assert_same_host=False)
    return answer.status, answer.headers


def _basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{token}".encode()).decode()


def test_the_alertmanager_s_pages_ask_a_browser_s_user_for_a_token_and_nothing_else_does(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    bad = _basic(signed()[:-8] + "AAAAAAAA")
    for path, asks in (("/alertmanager/", True), (LABELS, False)):
        for request_headers in ({}, {"Authorization": bad}):
            status, headers = _headers(gateway, path, **request_headers)
            assert status == 401
            assert headers.get("www-authenticate", "").startswith("Basic realm=") == asks, (path, request_headers)
    status, headers = _headers(gateway, "/alertmanager/", Authorization=_basic(signed()))
    assert status == 200 and headers["content-security-policy"] == "frame-ancestors 'none'"


def test_another_site_cannot_use_the_password_that_a_browser_knows(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    password = {"Authorization": _basic(signed())}
    for path in ("/api/v1/alerts", "/alertmanager/api/v2/silences"):
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert _headers(gateway, path, "POST", Sec_Fetch_Site=site, **password)[0] == status, (path, site)
    # Like a link in a notification.
    assert _headers(gateway, "/alertmanager/", Sec_Fetch_Site="cross-site", **password)[0] == 200


@pytest.mark.parametrize("name", ["X-Scope-OrgID", "x-opstrace-tenant"])
def test_at_the_instance_s_own_name_only_the_token_names_the_tenant(gateway: Gateway, name: str) -> None:
    gateway.set_keys()
    gateway.start()
    headers = {"Host": "showdown.example.com", "Authorization": f"Bearer {signed()}", name: "system"}
    pool = gateway.http.connection_from_host("127.0.0.1", gateway.port)
    answer = pool.urlopen("GET", "/api/v1/rules", headers=headers, assert_same_host=False)
    assert answer.status == 200 and gateway.back_end.requests == ["default GET /api/v1/rules"]


def test_a_scope_opens_its_own_requests_alone(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    names: tuple[Scope, ...] = ("metrics:write", "metrics:read", "logs:write", "logs:read")
    tokens = {scope: signed(scopes=(scope,)) for scope in names}
    for path, needed in {**WRITES, **READS}.items():
        for scope, token in tokens.items():
            method = "POST" if path in WRITES or path.endswith("query") else "GET"
            expected = (200, "ok") if scope == needed else (401, f"{BAD}: scope does not cover {needed}")
            assert gateway.ask(token, path, method) == expected, (scope, path)
    assert gateway.ask(signed(scopes=("logs:read", "metrics:write")), PUSH) == (200, "ok")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["delete", "rules", "rules/group", "rules/group/rule"])
def test_requests_that_change_logs_need_the_write_scope(gateway: Gateway, path: str, method: str) -> None:
    gateway.set_keys()
    gateway.start()
    refused = (401, f"{BAD}: scope does not cover logs:write")
    assert gateway.ask(signed(scopes=("logs:read",)), f"/loki/api/v1/{path}", method) == refused
    assert gateway.ask(signed(scopes=("logs:write",)), f"/loki/api/v1/{path}", method) == (200, "ok")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", RULES)
def test_requests_that_change_rules_need_the_write_scope(gateway: Gateway, path: str, method: str) -> None:
    gateway.set_keys()
    gateway.start()
    refused = (401, f"{BAD}: scope does not cover metrics:write")
    assert gateway.ask(signed(scopes=("metrics:read",)), path, method) == refused
    assert gateway.ask(signed(scopes=("metrics:write",)), path, method) == (200, "ok")


def _respelled(path: str) -> Iterator[str]:
    """Return paths that differ from `path` in a way that a back end's router could overlook."""
    parents, last = path.rsplit("/", 1)
    yield from (f"{path}/", f"{path};x", f"{path}x", f"{path}%20", f"{path}.", f"{path}:", f"{path}%3B", f"{path}/%2e")
    yield from (
        f"{parents}/{last.upper()}",
        f"{parents}/{last[:-1]}%{ord(last[-1]):x}/",
        path.replace("/api", "/api;x"),
    )
    yield f"/{path[1:4].upper()}{path[4:]}"


@pytest.mark.parametrize("path", sorted({*WRITES, *READS, "/alertmanager/api/v2/alerts"} - {*RULES[1:]}))
def test_a_route_takes_its_own_path_and_no_other_spelling(gateway: Gateway, path: str) -> None:
    gateway.set_keys()
    gateway.start()
    host = f"{'loki' if path.startswith('/loki') else 'cortex'}.default.showdown.example.com"
    assert gateway.ask(signed(), path, "POST", Host=host) == (200, "ok")
    gateway.back_end.requests.clear()
    for other in _respelled(path):
        assert gateway.ask(signed(), other, "POST", Host=host) == NOT_OPEN, other
    assert gateway.back_end.requests == []


SPELLINGS = [
    *(
        "/loki/api/v1/pu%73h",
        "/loki/api/v1/./push",
        "/loki/api/v1//push",
        "/loki/api/v1/x/../push",
        "/loki//api/v1/push",
    ),
    *(
        "/loki/api/v1/push?x=/loki/api/v1/labels",
        "/loki/api/v1/push#labels",
        "/loki/api/v1/%70ush",
        "/loki/api/v1/push/",
    ),
    *("/loki/api/v1/labels/..%2fpush", "/loki/api/v1/labels/%2e%2e/push", "/loki/api/v1/push;x", "/loki/api/v1/PUSH"),
    *(
        "/loki/api/v1/%2570ush",
        "/loki/api/v1/labels\\..\\push",
        "/loki/api/v1/de%6Cete",
        "/loki/api/v1/labels/%2E./push",
    ),
    *("/loki/api/v1/push%00", "/loki/api/v1/push%0a", "/loki/api/v1/%c0%ae%c0%ae/push", "/loki/api/v1/push%20"),
]


def test_no_spelling_of_a_push_gets_past_a_token_for_reading(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    token = signed(scopes=("logs:read", "metrics:read"))
    assert gateway.ask(token, LOKI_LABELS, "POST") == (200, "ok")
    for path in SPELLINGS:
        gateway.ask(token, path, "POST")
    for arrived in gateway.back_end.requests:
        # A back end decodes it once more.
        meant = unquote(arrived.split(" ")[2].split("?")[0])
        assert meant not in ("/loki/api/v1/push", "/loki/api/v1/delete"), arrived
