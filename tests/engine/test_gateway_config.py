"""The gateway's configuration, by the real Envoy, on loopback and before a back end that tells what reached it."""

import base64
import http.client
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pytest
import urllib3

from components.access import UNLIMITED, KeyLimits, Scope
from components.access_log import FIELDS
from components.data_api_config import LIMITS_BYTES
from components.gateway_config import bootstrap
from components.gateway_files import ACCESS, TOKEN, access_file, keys_file
from components.gateway_limits import GatewayLimits, Rate, TenantRates, limits_bytes
from components.gateway_lua import TURN_SECONDS
from components.gateway_routes import RETRIES
from components.keys import SECRET_BYTES, flat_key_set
from scripts.gateway_state import PodState
from scripts.signing import Grant, Signer
from tests.engine.gateway import (
    BAD,
    BOTH,
    KEY,
    KEYS,
    KID,
    LABELS,
    LOADED_SECONDS,
    LOKI_LABELS,
    LOKI_PUSH,
    OTHER,
    OTHER_KEY,
    PUSH,
    SETTINGS,
    Gateway,
    forged,
    signed,
)
from tests.made_up_keys import made_up_keys
from tests.waiting import eventually


def test_a_plain_token_opens_all_of_its_tenant_and_nothing_else(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    token = signed()
    for path in (LABELS, PUSH, LOKI_LABELS, LOKI_PUSH, "/loki/api/v1/tail"):
        assert gateway.ask(token, path) == (200, "ok"), path
    assert {entry.split()[0] for entry in gateway.back_end.seen} == {"default"}
    assert gateway.ask(token, tenant="other") == (401, f"{BAD}: unexpected tenant: default")
    assert gateway.ask(token, "/config") == (404, "no such tenant")
    assert len(gateway.back_end.seen) == 5


@pytest.mark.parametrize("name", ["X-Scope-OrgID", "x-opstrace-tenant", "X_Scope_OrgID"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_a_client_says_of_its_tenant_is_lost(gateway: Gateway, name: str, times: int) -> None:
    gateway.give()
    gateway.start()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    connection.putrequest("GET", LABELS, skip_host=True)
    said = [(name, "system")] * times
    host = ("Host", "cortex.default.showdown.example.com")
    for header, value in [*said, host, ("Authorization", f"Bearer {signed()}"), *said]:
        connection.putheader(header, value)
    connection.endheaders()
    assert connection.getresponse().status == 200
    connection.close()
    assert {entry.split()[0] for entry in gateway.back_end.seen} == {"default"}


def test_without_any_key_nobody_comes_in(gateway: Gateway) -> None:
    gateway.give({})
    gateway.start()
    assert gateway.ask(None) == (401, "Authorization header missing or invalid")
    assert gateway.ask(signed()) == (401, BAD)


def test_a_pod_is_ready_when_it_has_its_keys_and_not_before(gateway: Gateway) -> None:
    gateway.give()
    gateway.put(TOKEN, "{")
    gateway.start(has_all=False)
    assert gateway.ask(signed())[0] == 500 and not gateway.is_ready()
    gateway.give()
    gateway.eventually((200, "ok"), signed())
    assert gateway.is_ready()
    gateway.put(TOKEN, "{")  # what it has it keeps
    time.sleep(1)
    assert gateway.is_ready() and gateway.ask(signed())[0] == 200


def test_without_authentication_the_host_says_whose_request_it_is_and_no_credentials_are_passed_on(
    gateway: Gateway,
) -> None:
    gateway.limit(GatewayLimits())
    gateway.start(replace(SETTINGS, authentication=False))
    assert gateway.is_ready()
    gateway.back_end.credentials.clear()
    gateway.back_end.seen.clear()
    for token in (None, "nonsense", signed(tenant="other")):
        assert gateway.ask(token) == (200, "ok")
    pool = gateway.http.connection_from_host("127.0.0.1", gateway.port)
    said = {"Host": "loki.alpha.showdown.example.com", "X-Scope-OrgID": "default"}
    assert pool.urlopen("GET", LOKI_LABELS, headers=said, assert_same_host=False).status == 200
    assert gateway.back_end.seen == [f"default GET /prometheus{LABELS}"] * 3 + [f"alpha GET {LOKI_LABELS}"]
    assert gateway.back_end.credentials == [None] * 4
    assert gateway.ask(None, "/metrics")[0] == 404
    assert gateway.ask(None, RULES[0], host="showdown.example.com")[0] == 404  # there no token says whose


def test_the_name_of_a_tenant_is_forgotten_before_its_turn_comes_again() -> None:
    """However long a request that finds no connection is tried: each try is a use of the name."""
    config = json.loads(bootstrap(SETTINGS))
    (cluster,) = (one for one in config["static_resources"]["clusters"] if one["name"] == "tenant")
    cache = cluster["cluster_type"]["typed_config"]["dns_cache_config"]
    base, longest = (seconds_of(RETRIES["retry_back_off"][name]) for name in ("base_interval", "max_interval"))
    waits = [min(base * 2**number, longest) for number in range(RETRIES["num_retries"])]
    tried = RETRIES["num_retries"] * seconds_of(cluster["connect_timeout"]) + sum(waits)
    forgotten = sum(seconds_of(cache[name]) for name in ("dns_query_timeout", "host_ttl", "dns_refresh_rate"))
    assert tried + forgotten < TURN_SECONDS


def test_the_name_is_that_of_the_turn_in_which_a_request_is_whole(gateway: Gateway) -> None:
    """However long its body was in coming: it would be a use of the name that is to be forgotten."""
    seconds = 3
    gateway.give()
    gateway.start(turn_seconds=seconds)

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


def test_what_is_asked_slowly_ends_and_the_admin_port_is_the_pod_s_own() -> None:
    config = json.loads(bootstrap(SETTINGS))
    (http,) = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    assert (http["typed_config"]["request_headers_timeout"], http["typed_config"]["request_timeout"]) == ("10s", "60s")
    assert config["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


RULES = ("/api/v1/rules", "/api/v1/rules/space", "/api/v1/rules/space/group")
WRITES = {PUSH: "metrics:write", LOKI_PUSH: "logs:write"}
READS = {
    **{f"/api/v1/{path}": "metrics:read" for path in ("query", "query_range", "series", "labels", "metadata", "read")},
    "/api/v1/label/a/values": "metrics:read",
    **dict.fromkeys(RULES, "metrics:read"),
    **{f"/loki/api/v1/{path}": "logs:read" for path in ("query_range", "labels", "tail", "rules", "delete", "pushx")},
}


@pytest.mark.parametrize("host", ["showdown.example.com", "SHOWDOWN.example.com:8443"])
def test_at_the_instance_s_own_name_a_token_s_rules_are_its_tenant_s(gateway: Gateway, host: str) -> None:
    gateway.give(BOTH, ["revoked-token"], other=KeyLimits(tenants=("other",)))
    gateway.start()
    for tenant in ("default", "other"):
        assert gateway.ask(signed(tenant=tenant), "/api/v1/rules/team", host=host) == (200, "ok")
        assert gateway.back_end.seen.pop() == f"{tenant} GET /api/v1/rules/team"
    reading = signed(scopes=("metrics:read",))
    assert gateway.ask(reading, "/api/v1/rules", host=host) == (200, "ok")
    gateway.back_end.seen.clear()
    refused = (401, f"{BAD}: scope does not cover metrics:write")
    assert gateway.ask(reading, "/api/v1/rules/team", "POST", host=host) == refused
    assert gateway.ask(None, "/api/v1/rules", host=host) == (401, "Authorization header missing or invalid")
    assert gateway.ask(signed(id="revoked-token"), "/api/v1/rules", host=host) == (401, f"{BAD}: revoked")
    limited = Signer(OTHER_KEY).token(Grant("showdown", "default"))
    assert gateway.ask(limited, "/api/v1/rules", host=host) == (401, f"{BAD}: its key may not speak for this tenant")
    for path in (LABELS, PUSH, "/alertmanager/", "/alertmanager/api/v2/alerts", "/", "/api/v1/rulesets", "/config"):
        assert gateway.ask(signed(), path, host=host)[0] == 404, path
    for other in (f"x{host}", f"x.{host}", "showdown.example.com.example.org", "showdown-example.com"):
        assert gateway.ask(signed(), "/api/v1/rules", host=other)[0] == 404, other
    assert gateway.back_end.seen == []


@pytest.mark.parametrize("host", ["", "showdown.example.com"])
def test_where_alerts_are_sent_is_the_alertmanager_s_and_rules_are_cortex_s(gateway: Gateway, host: str) -> None:
    gateway.give()
    gateway.start()
    reading, writing = "metrics:read", "metrics:write"
    for path, service, scopes in (
        ("/api/v1/alerts", "alertmanager", (writing, writing, writing)),  # it has passwords in it
        ("/api/v1/rules/team", "cortex", (reading, writing, writing)),
    ):
        for method, scope in zip(("GET", "POST", "DELETE"), scopes, strict=True):
            assert gateway.ask(signed(scopes=(scope,)), path, method, host=host) == (200, "ok"), (path, method)
            assert gateway.back_end.service() == f"{service}.default-tenant.svc.cluster.local"
            others = tuple({reading, writing, "logs:read", "logs:write"} - {scope})
            assert gateway.ask(signed(scopes=others), path, method, host=host)[0] == 401, (path, method)


def test_a_tenant_s_alertmanager_has_its_pages_and_their_api_and_nothing_else(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    reading = signed(scopes=("metrics:read",))
    for path in ("", "script.js", "favicon.ico", "lib/bootstrap/bootstrap.min.css", "api/v2/silences?filter=a"):
        assert gateway.ask(reading, f"/alertmanager/{path}") == (200, "ok"), path
        assert gateway.back_end.service() == "alertmanager.default-tenant.svc.cluster.local"
    refused = (401, f"{BAD}: scope does not cover metrics:write")
    assert gateway.ask(reading, "/alertmanager/api/v2/silences", "POST") == refused
    assert gateway.ask(signed(), "/alertmanager/api/v2/silence/1", "DELETE") == (200, "ok")
    gateway.back_end.seen.clear()
    for path in (
        "metrics",
        "-/reload",
        "-/ready",
        "debug/pprof/",
        "api/v1/alerts",
        "status",
        "../multitenant_alertmanager",
    ):
        assert gateway.ask(signed(), f"/alertmanager/{path}", "POST") == (404, "no such tenant"), path
    assert gateway.back_end.seen == []


def _headers(gateway: Gateway, path: str, method: str = "GET", **more: str) -> tuple[int, Any]:
    """Return status and headers of an answer; in names of headers `_` stands for `-`."""
    headers = {"Host": "cortex.default.showdown.example.com"} | {key.replace("_", "-"): more[key] for key in more}
    pool = gateway.http.connection_from_host("127.0.0.1", gateway.port)
    answer = pool.urlopen(method, path, headers=headers, assert_same_host=False)
    return answer.status, answer.headers


def _basic(token: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{token}".encode()).decode()


def test_the_alertmanager_s_pages_ask_a_browser_s_user_for_a_token_and_nothing_else_does(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    bad = _basic(signed()[:-8] + "AAAAAAAA")
    for path, asks in (("/alertmanager/", True), (LABELS, False)):
        for given in ({}, {"Authorization": bad}):
            status, headers = _headers(gateway, path, **given)
            assert status == 401
            assert headers.get("www-authenticate", "").startswith("Basic realm=") == asks, (path, given)
    status, headers = _headers(gateway, "/alertmanager/", Authorization=_basic(signed()))
    assert status == 200 and headers["content-security-policy"] == "frame-ancestors 'none'"


def test_another_site_cannot_use_the_password_that_a_browser_knows(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    known = {"Authorization": _basic(signed())}
    for path in ("/api/v1/alerts", "/alertmanager/api/v2/silences"):
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert _headers(gateway, path, "POST", Sec_Fetch_Site=site, **known)[0] == status, (path, site)
    assert (
        _headers(gateway, "/alertmanager/", Sec_Fetch_Site="cross-site", **known)[0] == 200
    )  # a link in a notification


@pytest.mark.parametrize("name", ["X-Scope-OrgID", "x-opstrace-tenant"])
def test_at_the_instance_s_own_name_the_token_alone_says_whose_rules(gateway: Gateway, name: str) -> None:
    gateway.give()
    gateway.start()
    said = {"Host": "showdown.example.com", "Authorization": f"Bearer {signed()}", name: "system"}
    pool = gateway.http.connection_from_host("127.0.0.1", gateway.port)
    answer = pool.urlopen("GET", "/api/v1/rules", headers=said, assert_same_host=False)
    assert answer.status == 200 and gateway.back_end.seen == ["default GET /api/v1/rules"]


def test_a_scope_opens_its_own_requests_alone(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    names: tuple[Scope, ...] = ("metrics:write", "metrics:read", "logs:write", "logs:read")
    tokens = {scope: signed(scopes=(scope,)) for scope in names}
    for path, needed in {**WRITES, **READS}.items():
        for scope, token in tokens.items():
            method = "POST" if path in WRITES or path.endswith("query") else "GET"
            wanted = (200, "ok") if scope == needed else (401, f"{BAD}: scope does not cover {needed}")
            assert gateway.ask(token, path, method) == wanted, (scope, path)
    assert gateway.ask(signed(scopes=("logs:read", "metrics:write")), PUSH) == (200, "ok")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["delete", "rules", "rules/group", "rules/group/rule"])
def test_what_changes_logs_is_writing(gateway: Gateway, path: str, method: str) -> None:
    gateway.give()
    gateway.start()
    refused = (401, f"{BAD}: scope does not cover logs:write")
    assert gateway.ask(signed(scopes=("logs:read",)), f"/loki/api/v1/{path}", method) == refused
    assert gateway.ask(signed(scopes=("logs:write",)), f"/loki/api/v1/{path}", method) == (200, "ok")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", RULES)
def test_what_changes_rules_is_writing(gateway: Gateway, path: str, method: str) -> None:
    gateway.give()
    gateway.start()
    refused = (401, f"{BAD}: scope does not cover metrics:write")
    assert gateway.ask(signed(scopes=("metrics:read",)), path, method) == refused
    assert gateway.ask(signed(scopes=("metrics:write",)), path, method) == (200, "ok")


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
    gateway.give()
    gateway.start()
    token = signed(scopes=("logs:read", "metrics:read"))
    assert gateway.ask(token, LOKI_LABELS, "POST") == (200, "ok")
    for path in SPELLINGS:
        gateway.ask(token, path, "POST")
    for arrived in gateway.back_end.seen:
        # What a back end would make of it: its own decoding, once.
        meant = unquote(arrived.split(" ")[2].split("?")[0])
        assert meant not in ("/loki/api/v1/push", "/loki/api/v1/delete"), arrived


CLAIMS = {
    '"scope": null': ": scope is null",
    '"scope" : null': ": scope is null",
    '"\\u0073c\\u006Fpe": null': ": scope is null",
    '"jti": null': "",
    '"scope": ["metrics:read"]': ": scope does not cover metrics:read",
    '"scope": {"metrics:read": true}': ": scope does not cover metrics:read",
    '"scope": true': ": scope does not cover metrics:read",
    '"scope": 1': ": scope does not cover metrics:read",
    '"scope": ""': ": scope does not cover metrics:read",
    '"scope": "metrics:read\\tmetrics:write"': ": scope does not cover metrics:read",
    '"scope": "metrics:readx xmetrics:read"': ": scope does not cover metrics:read",
    '"scope": "METRICS:READ"': ": scope does not cover metrics:read",
    '"scope": "metrics:*"': ": scope does not cover metrics:read",
    '"scope": "metrics:read,metrics:write"': ": scope does not cover metrics:read",
    '"jti": 1': "",
    '"jti": ["revoked-token"]': "",
    '"jti": {"revoked-token": 1}': "",
    '"jti": false': "",
    '"jti": "revoked-token"': ": revoked",
    '"jti": "revoked\\u002dtoken"': ": revoked",
    '"jti": "revoked-token", "scope": "nothing"': ": revoked",
}
OPEN = [
    '"scope": "metrics:read"',
    '"scope": "logs:read metrics:read x"',
    '"jti": "Revoked-token"',
    '"jti": "revoked-token "',
    '"jti": "revoked"',
    '"jti": ""',
    '"x": null',
    '"x": "scope"',
    '"x": "\\u00e9 \\ud83d\\ude00"',
]


def test_claims_of_any_other_form_are_refused_with_their_reason(gateway: Gateway) -> None:
    gateway.give(revoked=["another-token", "revoked-token"])
    gateway.start()
    refused, opened = {text: forged(text) for text in CLAIMS}, {text: forged(text) for text in OPEN}
    for _ in range(3):  # what a token says is remembered
        assert {text: gateway.ask(token) for text, token in refused.items()} == {
            text: (401, BAD + reason) for text, reason in CLAIMS.items()
        }
        assert gateway.back_end.seen == []
    for _ in range(3):
        answers = {text: gateway.ask(token) for text, token in opened.items()}
        assert answers == dict.fromkeys(OPEN, (200, "ok"))


def test_a_doubled_claim_opens_nothing_more_than_its_last_or_is_no_token(gateway: Gateway) -> None:
    gateway.give(revoked=["revoked-token"])
    gateway.start()
    for text in ('"scope": "metrics:read", "scope": "logs:read"', '"jti": "x", "jti": "revoked-token"'):
        assert gateway.ask(forged(text))[0] == 401, text


def test_a_revocation_is_looked_at_after_the_signature(gateway: Gateway) -> None:
    gateway.give(revoked=["revoked-token"])
    gateway.start()
    head, claims, signature = forged('"jti": "revoked-token"').split(".")
    changed = base64.urlsafe_b64encode(bytes(reversed(base64.urlsafe_b64decode(signature + "==")))).decode().rstrip("=")
    assert gateway.ask(f"{head}.{claims}.{changed}") == (401, BAD)


def test_a_limited_key_speaks_for_its_tenants_and_scopes_alone(gateway: Gateway) -> None:
    gateway.give(BOTH, other=KeyLimits(tenants=("alpha", "beta"), scopes=("metrics:read", "logs:read")))
    gateway.start()
    limited = Signer(OTHER_KEY)
    for_alpha, for_default = limited.token(Grant("showdown", "alpha")), limited.token(Grant("showdown", "default"))
    assert gateway.ask(for_alpha, tenant="alpha") == (200, "ok")
    assert gateway.ask(for_default) == (401, f"{BAD}: its key may not speak for this tenant")
    assert gateway.ask(for_alpha) == (401, f"{BAD}: unexpected tenant: alpha")
    assert gateway.ask(for_alpha, PUSH, tenant="alpha") == (401, f"{BAD}: its key does not cover metrics:write")
    wide = limited.token(Grant("showdown", "alpha", scopes=("metrics:write",)))
    assert gateway.ask(wide, PUSH, tenant="alpha") == (401, f"{BAD}: its key does not cover metrics:write")
    assert gateway.ask(signed(), PUSH) == (200, "ok")


def test_a_key_ends_when_its_time_is_over_without_any_change(gateway: Gateway) -> None:
    gateway.give(BOTH)
    gateway.start()
    gateway.give(BOTH, other=KeyLimits(not_after=int(time.time()) + 10))
    eventually(lambda: gateway.state().current, 5, 0.05)
    token = Signer(OTHER_KEY).token(Grant("showdown", "default"))
    assert gateway.ask(token) == (200, "ok")
    gateway.eventually((401, f"{BAD}: its key is no longer accepted"), token, 20)
    assert gateway.ask(signed()) == (200, "ok")


def test_a_token_that_is_remembered_ends_when_it_says(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    token = signed(seconds=3)
    for _ in range(20):  # by both workers
        assert gateway.fresh(token) == (200, "ok")
    assert gateway.eventually((401, BAD), token, 20) > 3


def test_a_key_whose_limits_are_still_on_their_way_opens_nothing(gateway: Gateway) -> None:
    gateway.give(KEYS)
    gateway.start()
    gateway.put(TOKEN, keys_file("showdown", BOTH))
    time.sleep(1)
    token = Signer(OTHER_KEY).token(Grant("showdown", "default"))
    assert gateway.ask(token) == (401, BAD)
    gateway.give(BOTH, other=KeyLimits(tenants=("alpha",)))
    gateway.eventually((401, f"{BAD}: its key may not speak for this tenant"), token)


def test_the_gateway_says_which_keys_it_has_and_what_it_refused(gateway: Gateway) -> None:
    gateway.give(BOTH, other=KeyLimits(tenants=("alpha",)))
    gateway.start()
    assert gateway.state() == PodState(sorted(BOTH), current=True, refused=False)
    gateway.put(TOKEN, keys_file("showdown", KEYS))
    gateway.eventually((401, BAD), Signer(OTHER_KEY).token(Grant("showdown", "alpha")), tenant="alpha")
    assert gateway.state() == PodState([KID], current=True, refused=False)

    good = (gateway.folder / "keys" / "jwt.json").read_text()
    gateway.put(TOKEN, good.replace('\\"n\\": \\"', '\\"n\\": \\"!'))
    gateway.comes_to(PodState(None, current=False, refused=True))
    assert "REFUSED" in gateway.state().in_words()
    gateway.put(TOKEN, good)
    gateway.comes_to(PodState([KID], current=True, refused=False))
    gateway.put(TOKEN, "{")
    gateway.comes_to(PodState([KID], current=False, refused=True))


@pytest.mark.parametrize("broken", ['\\"n\\": \\"!', '\\"n\\": \\"BBBB', '\\"m\\": \\"'])
def test_of_a_set_that_is_bad_in_part_the_good_keys_are_in_force_and_told(gateway: Gateway, broken: str) -> None:
    gateway.give(BOTH)
    gateway.start()
    first, second = sorted(BOTH)
    gateway.put(TOKEN, keys_file("showdown", BOTH).replace('\\"n\\": \\"', broken, 1))
    tokens = {kid: Signer(key).token(Grant("showdown", "default")) for kid, key in ((KID, KEY), (OTHER, OTHER_KEY))}
    gateway.eventually((401, BAD), tokens[first])
    assert gateway.ask(tokens[second]) == (200, "ok")
    state = gateway.state()
    assert state == PodState([second], current=False, refused=True) and "REFUSED" in state.in_words()


def test_a_pod_whose_memory_is_full_answers_503_and_stays_ready(gateway: Gateway) -> None:
    gateway.give()
    gateway.start(heap_bytes=2**20)  # less than it has from the start
    eventually(lambda: gateway.ask(signed())[0] == 503, 30, 0.1)
    assert gateway.is_ready()


@pytest.mark.parametrize("path", ["/", "/config_dump", "/clusters", "/stats", "/quitquitquit", "/logging?level=trace"])
def test_the_admin_port_answers_two_questions_alone(gateway: Gateway, path: str) -> None:
    gateway.give()
    gateway.start()
    answers = [
        gateway.http.request(method, f"http://127.0.0.1:{gateway.admin_port}{path}") for method in ("GET", "POST")
    ]
    assert [answer.status for answer in answers] == [403, 403]
    assert gateway.ask(signed()) == (200, "ok")


BROKEN = {
    "no JSON": "{",
    "nothing": "",
    "Lua that does not compile": access_file({KID: UNLIMITED}, []).replace("local KEYS", "local local KEYS"),
    "Lua that fails when it is loaded": access_file({KID: UNLIMITED}, []).replace("local REVOKED = {}", "error(1)"),
    "another filter": keys_file("showdown", KEYS).replace('"token"', '"access"'),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_bad_file_leaves_what_was_there(gateway: Gateway, case: str) -> None:
    gateway.give(revoked=["revoked-token"])
    gateway.start()
    gateway.put(ACCESS, BROKEN[case])
    time.sleep(1)
    assert gateway.ask(forged('"jti": "revoked-token"')) == (401, f"{BAD}: revoked")
    assert gateway.ask(signed()) == (200, "ok")
    gateway.give(revoked=["another-token"])
    gateway.eventually((200, "ok"), forged('"jti": "revoked-token"'))


def test_a_bad_file_of_keys_leaves_the_old_keys(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    gateway.put(TOKEN, keys_file("showdown", KEYS).replace('\\"n\\": \\"', '\\"n\\": \\"!'))
    time.sleep(1)
    assert gateway.ask(signed()) == (200, "ok")


def test_changes_drop_no_request_and_no_connection(gateway: Gateway) -> None:
    gateway.give(BOTH)
    gateway.start()
    token, stop, answers = signed(), threading.Event(), []
    opened = threading.local()

    def ask_on() -> None:
        opened.pool = urllib3.HTTPConnectionPool("127.0.0.1", gateway.port, maxsize=1, retries=False)
        headers = {"Host": "cortex.default.showdown.example.com", "Authorization": f"Bearer {token}"}
        while not stop.is_set():
            answers.append(opened.pool.request("POST", PUSH, headers=headers, body=b"x" * 2000).status)
            time.sleep(0.005)
        answers.append(200 if opened.pool.num_connections == 1 else "reconnected")

    threads = [threading.Thread(target=ask_on) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(10):
        gateway.give(BOTH if number % 2 else KEYS, revoked=[f"token-{number}-{i}" for i in range(100)])
        time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    assert {*answers} == {200} and len(answers) > 100


def test_ten_thousand_revocations_and_125_keys_fit_and_load_in_time(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    revoked, token = [str(uuid.uuid4()) for _ in range(9_999)], signed(id="the-last-of-them")
    keys = made_up_keys(124) | KEYS
    assert len(keys) == 125 and len(flat_key_set(keys)) <= SECRET_BYTES
    limits = {kid: KeyLimits(("alpha", "beta"), ("logs:read",), 2_000_000_000) for kid in keys if kid != KID}
    text = access_file({KID: UNLIMITED, **limits}, [*revoked, "the-last-of-them"])
    assert len(text) < 1_048_576 / 2
    longest = access_file({KID: UNLIMITED, **limits}, [str(uuid.uuid4()) + "x" * 60 for _ in range(10_000)])
    assert len(longest) < 1_048_576
    assert gateway.ask(token) == (200, "ok")
    text_of_keys = keys_file("showdown", keys)
    assert len(text_of_keys) < 1_048_576
    gateway.put(TOKEN, text_of_keys)
    gateway.put(ACCESS, text)
    gateway.eventually((401, f"{BAD}: revoked"), token)
    assert gateway.ask(signed()) == (200, "ok")
    assert gateway.state() == PodState(sorted(keys), current=True, refused=False)


def test_the_ranges_and_rates_of_a_thousand_tenants_load_in_time(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    names = [f"tenant{number}" for number in range(1000)]
    rates = {name: TenantRates(requests=Rate(100, 200)) for name in names}
    limits = GatewayLimits(exceptions=rates, addresses=dict.fromkeys([*names[1:], "default"], ("203.0.113.0/24",)))
    assert limits_bytes(limits) < LIMITS_BYTES
    assert gateway.ask(signed()) == (200, "ok")
    gateway.limit(limits)
    gateway.eventually((403, "this tenant takes nothing from your address"), signed())
    # The rates are a file of their own, which is read at the same time.
    eventually(lambda: gateway.state().current, LOADED_SECONDS, 0.05)
    assert gateway.ask(signed(tenant="tenant0"), tenant="tenant0") == (200, "ok")


def lines(gateway: Gateway, count: int) -> list[dict[str, Any]]:
    """Return the lines of the access log, once there are `count`; not those of its start, before it had its files."""
    deadline = time.monotonic() + 15
    while True:
        found = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith('{"')]
        found = [line for line in found if line["reason"] != "filter_chain_not_found"]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_each_request_is_a_line_of_the_access_log(gateway: Gateway) -> None:
    gateway.give(revoked=["revoked-token"])
    gateway.start()
    before, before_it = len(gateway.back_end.seen), len(lines(gateway, 1))
    started = time.time()
    gateway.ask(signed(id="this-one"), f"{PUSH}?query=what", "POST", body=b"x" * 1234)
    gateway.ask(forged('"jti": "revoked-token"'), LOKI_LABELS)
    gateway.ask(signed(id="unseen") + "x", LABELS)
    gateway.ask(signed(id="elsewhere"), "/admin/../config", tenant="other")
    for token in (signed(id="for-rules"), forged('"jti": "revoked-token"')):
        gateway.ask(token, RULES[0], host="showdown.example.com")
    assert len(gateway.back_end.seen) == before + 2
    found = lines(gateway, before_it + 6)[-6:]
    common = {"key_id": KID, "client": "127.0.0.1"}
    wanted = [
        {"tenant": "default", "api": "cortex", "method": "POST", "path": PUSH, "status": 200, "token_id": "this-one"},
        {"tenant": "default", "api": "loki", "method": "GET", "path": LOKI_LABELS, "status": 401},
        {"tenant": "default", "api": "cortex", "method": "GET", "path": LABELS, "status": 401, "key_id": None},
        # Where no route leads nobody looks at the token.
        {"tenant": "other", "api": "cortex", "method": "GET", "path": "/config", "status": 404, "key_id": None},
        {"tenant": "default", "api": "cortex", "path": RULES[0], "status": 200, "token_id": "for-rules"},
        {"tenant": "default", "api": "cortex", "path": RULES[0], "status": 401, "token_id": "revoked-token"},
    ]
    for line, part in zip(found, wanted, strict=True):
        part = common | part
        assert {name: line.get(name) for name in part} == part, line
    assert {*found[0]} == {*FIELDS} and found[1]["token_id"] == "revoked-token"
    assert (found[0]["bytes_received"], found[0]["bytes_sent"]) == (1234, len("ok"))
    assert abs(datetime.fromisoformat(found[0]["time"]).timestamp() - started) < 5 and found[0]["duration_ms"] < 5000
    assert found[2]["token_id"] is None and "Jwt" in found[2]["reason"]


def test_no_token_comes_into_the_access_log_wherever_it_stands(gateway: Gateway) -> None:
    gateway.give()
    gateway.start()
    token = signed()
    head, claims, signature = token.split(".")
    host, port = "Host: cortex.default.showdown.example.com\r\n", gateway.port
    asked = [
        f"GET /{token} HTTP/1.1\r\n{host}",
        f"GET /%65yJ{token[3:]} HTTP/1.1\r\n{host}",
        f"GET {LABELS}?token={token} HTTP/1.1\r\n{host}",
        f"GET {LABELS}#{token} HTTP/1.1\r\n{host}",
        f"{token} {LABELS} HTTP/1.1\r\n{host}",
        f"GET http://user:{token}@cortex.default.showdown.example.com{LABELS} HTTP/1.1\r\n{host}",
        f"GET {LABELS} HTTP/1.1\r\nHost: {token}\r\n",
        f"GET {LABELS} HTTP/1.1\r\nHost: {token}.default.showdown.example.com\r\n",
        f"GET {LABELS} HTTP/1.1\r\n{host}Authorization: {token}\r\nUser-Agent: {token}\r\nReferer: {token}\r\n",
        f"GET {LABELS} HTTP/1.1\r\n{host}Authorization: Bearer {token}\r\nX-Request-Id: {token}\r\nX-Forwarded-For: {token}\r\n",
    ]
    for request in asked:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(f"{request}Connection: close\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 "), request
    assert len(lines(gateway, len(asked))) >= len(asked)
    text = gateway.log.read_text()
    assert [part for part in (head, claims, signature, claims[:40]) if part in text] == []
