"""The cost of clients without a good token: protocols, silent connections, refusals, the probe's port."""

import base64
import http.client
import json
import re
import socket
import time
from contextlib import closing
from dataclasses import replace
from typing import Any

import jwt
import pytest

from components.gateway.envoy import bootstrap
from components.gateway.limits import GatewayLimits, Rate, TenantRates
from components.gateway.lua_filters import LONGEST_BASIC, LONGEST_HEADER, LONGEST_TOKEN
from components.gateway.settings import BUFFER_BYTES, PROBE_CONNECTIONS, SILENT_SECONDS
from components.gateway.tails.listener import tails_file
from components.gateway.watched_files import ACCESS, access_file, limits_files
from tests.support.gateway import BAD, KEY, KID, LABELS, PUSH, SETTINGS, Gateway, forged, signed
from tests.support.raw_client import http2_request

FORM = (401, "Authorization header format invalid. Expecting 'Bearer <AUTHTOKEN>'")
HOST = "cortex.default.showdown.example.com"
OWN_ANSWER_SECONDS = 5


@pytest.fixture
def shown(gateway: Gateway) -> Gateway:
    gateway.set_keys()
    return gateway


def connected(gateway: Gateway, port: int = 0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port or gateway.port), 20)


def head(token: str, path: str = LABELS, *lines: str, method: str = "GET") -> bytes:
    own = (f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {token}")
    return ("\r\n".join([*own, *lines]) + "\r\n\r\n").encode()


def first_line(connection: socket.socket) -> str:
    """Read an answer to its end, and return its first line; '' if the connection was closed without one."""
    data = b""
    while not (head := data.partition(b"\r\n\r\n"))[1] or len(head[2]) < _length(head[0]):
        if not (more := connection.recv(65536)):
            break
        data += more
    return data.split(b"\r\n")[0].decode()


def _length(headers: bytes) -> int:
    length = re.search(rb"^content-length: (\d+)", headers, re.MULTILINE | re.IGNORECASE)
    return int(length[1]) if length else 0


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_http_2_is_refused_and_reaches_no_back_end(shown: Gateway, method: str) -> None:
    shown.start()
    fields = {":method": method, ":scheme": "http", ":authority": HOST, ":path": LABELS}
    fields["authorization"] = f"Bearer {signed()}"
    request = http2_request([(name.encode(), value.encode()) for name, value in fields.items()], b"x" * 3000)
    shown.back_end.requests.clear()
    with connected(shown) as connection:
        connection.sendall(request)
        assert first_line(connection) == "HTTP/1.1 400 Bad Request"
    assert shown.back_end.requests == []


def tails_listener() -> dict[str, Any]:
    """Return the listener that log tails pass through."""
    files = limits_files(GatewayLimits(), 1) | {ACCESS: access_file({}, ())}
    (listener,) = json.loads(tails_file(files, authentication=True))["resources"]
    return dict(listener)


def test_what_a_connection_may_buffer_is_bounded_at_both_sides() -> None:
    config = json.loads(bootstrap(SETTINGS))["static_resources"]
    gateway, health, metrics = config["listeners"]
    clusters = [cluster for cluster in config["clusters"] if cluster["name"] != "system-metrics"]
    tails = tails_listener()
    sizes = [part["per_connection_buffer_limit_bytes"] for part in (gateway, metrics, tails, *clusters)]
    assert sizes == [BUFFER_BYTES] * 6
    assert health["per_connection_buffer_limit_bytes"] <= BUFFER_BYTES


def test_the_listener_of_tails_is_on_loopback_and_takes_http_1_alone() -> None:
    tails = tails_listener()
    assert tails["address"]["socket_address"]["address"] == "127.0.0.1"
    (chain,) = tails["filter_chains"]
    assert chain["filters"][-1]["typed_config"]["codec_type"] == "HTTP1"
    config = json.loads(bootstrap(SETTINGS))["static_resources"]
    (cluster,) = (cluster for cluster in config["clusters"] if cluster["name"] == "tails")
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"] == tails["address"]


def test_a_connection_that_says_nothing_is_closed_and_one_with_a_request_is_kept(shown: Gateway) -> None:
    shown.start()
    with connected(shown) as silent, connected(shown) as used:
        started = time.monotonic()
        for _ in range(2):
            used.sendall(head(signed()))
            assert first_line(used) == "HTTP/1.1 200 OK"
            time.sleep(SILENT_SECONDS + 0.5)
        assert silent.recv(1) == b"" and time.monotonic() - started < 20
        used.sendall(head(signed()))
        assert first_line(used) == "HTTP/1.1 200 OK"


REFUSED = {
    "no token": ({}, LABELS, HOST, 401),
    "a bad token": ({"Authorization": "Bearer a.b.c"}, LABELS, HOST, 401),
    "another tenant's token": ({"Authorization": "TOKEN"}, LABELS, HOST.replace("default", "other"), 401),
    "no tenant": ({"Authorization": "TOKEN"}, LABELS, "example.com", 404),
    "a closed path": ({"Authorization": "TOKEN"}, "/config", HOST, 404),
    "an address that may not": ({"Authorization": "TOKEN"}, LABELS, HOST.replace("default", "away"), 403),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_connection_is_closed_behind_a_refusal(shown: Gateway, case: str) -> None:
    headers, path, host, status = REFUSED[case]
    shown.limit(GatewayLimits(addresses={"away": ("203.0.113.0/24",)}))
    shown.start()
    with closing(http.client.HTTPConnection("127.0.0.1", shown.port, timeout=20)) as connection:
        tenant = host.split(".")[1] if status == 403 else "default"
        sent = {name: value.replace("TOKEN", f"Bearer {signed(tenant=tenant)}") for name, value in headers.items()}
        connection.request("GET", path, headers={"Host": host} | sent)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.headers["connection"]) == (status, "close")


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500])
def test_a_connection_is_kept_behind_an_answer_of_the_back_end_and_behind_a_429(shown: Gateway, status: int) -> None:
    shown.limit(GatewayLimits(TenantRates(requests=Rate(1, 2))))
    shown.start()
    shown.back_end.status = status
    with closing(http.client.HTTPConnection("127.0.0.1", shown.port, timeout=20)) as connection:
        connection.connect()
        connection.auto_open = 0
        statuses = []
        for _ in range(5):
            connection.request("GET", LABELS, headers={"Host": HOST, "Authorization": f"Bearer {signed()}"})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
    assert {*statuses} == {status, 429}


@pytest.mark.parametrize("rates", [TenantRates(requests=Rate(1, 1)), TenantRates(connections=Rate(1, 1))])
def test_requests_above_a_limit_are_refused_before_their_body_is_buffered(shown: Gateway, rates: TenantRates) -> None:
    shown.limit(GatewayLimits(rates))
    shown.start()
    unfinished = head(signed(), PUSH, "Transfer-Encoding: chunked", method="POST") + b"10\r\n" + b"x" * 16 + b"\r\n"
    with connected(shown) as first, connected(shown) as second:
        first.sendall(unfinished)
        time.sleep(0.3)  # the gateway waits for the rest of the body
        started = time.monotonic()
        second.sendall(unfinished)
        assert first_line(second) == "HTTP/1.1 429 Too Many Requests"
        assert time.monotonic() - started < OWN_ANSWER_SECONDS
        first.sendall(b"0\r\n\r\n")
        assert first_line(first) == "HTTP/1.1 200 OK"


def without_key_id(header: str) -> str:
    """Return a token with this header, signed by a trusted key."""
    now = int(time.time())
    claims = {"iss": "opstrace-cli", "aud": "opstrace-cluster-showdown", "sub": "tenant-default", "exp": now + 600}
    signed_part = b".".join(map(jwt.utils.base64url_encode, (header.encode(), json.dumps(claims).encode())))
    signature = jwt.get_algorithm_by_name("RS256").sign(signed_part, KEY)
    return (signed_part + b"." + jwt.utils.base64url_encode(signature)).decode()


NO_KEY_ID = [
    '{"alg":"RS256"}',
    '{"alg":"RS256","kid":""}',
    '{"alg":"RS256","kid" : ""}',
    '{"alg":"RS256","kid":null}',
    '{"alg":"RS256","kid":1}',
    '{"alg":"RS256","kid":["KID"]}',
    '{"alg":"RS256","x":{"kid":"KID"}}',
    '{"alg":"RS256","x":[{"kid":"KID"}]}',
    '{"alg":"RS256","x":"\\"kid\\":\\"KID\\""}',
    '{"alg":"RS256","x":"kid"}',
    '{"alg":"RS256","x":"}","y":{"kid":"KID"},"z":"{"}',
    '{"alg":"RS256","kid":"KID","kid":""}',
    '{"alg":"RS256","kid":"","kid":"KID"}',
    '{"alg":"RS256","Kid":"KID"}',
    '{"alg":"RS256","kid ":"KID"}',
    '{"alg":"RS256","x":"' + "a" * LONGEST_HEADER + '","kid":"KID"}',
    '{"alg":"RS256","kid":"KID',
    """{"alg":"RS256",'a':',"kid":"KID"'}""",
    """{"alg":"RS256",a:'"kid":"KID"'}""",
    '{"alg":"RS256","kid":"KID","x":[[[[]]]]}',
    "[]",
    "1",
]
KEY_ID = [
    '{"alg":"RS256","kid":"KID"}',
    '{ "kid" : "KID" , "alg" : "RS256" }',
    '{"alg":"RS256","typ":"\\"kid\\":\\"\\"","kid":"KID"}',
    '{"alg":"RS256","x":{"kid":""},"kid":"KID"}',
    '{"alg":"RS256","x":["kid",{"y":"]"}],"kid":"KID"}',
    '{"alg":"RS256","x":"\\\\","kid":"KID"}',
]


def test_a_token_without_a_key_id_is_refused_before_any_key_is_tried(shown: Gateway) -> None:
    shown.start()
    before = len(shown.access_log(1))
    answers = [shown.ask(without_key_id(header.replace("KID", KID))) for header in NO_KEY_ID]
    assert answers == [(401, BAD)] * len(NO_KEY_ID)
    # The Lua filter refused them: jwt_authn would give a reason.
    reasons = [line["reason"] for line in shown.access_log(before + len(NO_KEY_ID))[-len(NO_KEY_ID) :]]
    assert {*reasons} == {"lua_response"}, list(zip(NO_KEY_ID, reasons, strict=True))
    for header in KEY_ID:
        assert shown.ask(without_key_id(header.replace("KID", KID))) == (200, "ok"), header


NESTED = [
    '"x": ' + "[" * 40 + "]" * 40,
    '"x": {"a": {"a": {"a": {}}}}',
    '"x": [' + ",".join("1" * 60) + "]",
    ",".join(f'"x{number}": 1' for number in range(40)),
]


def test_claims_that_take_much_memory_are_refused_before_they_are_read(shown: Gateway) -> None:
    """For 2,000 brackets Envoy needs 110 KB, for each cached token and each request."""
    shown.start()
    before = len(shown.access_log(1))
    assert [shown.ask(forged(text)) for text in NESTED] == [(401, BAD)] * len(NESTED)
    assert {line["reason"] for line in shown.access_log(before + len(NESTED))[-len(NESTED) :]} == {"lua_response"}
    assert shown.ask(forged('"x": {"a": [1, 2]}')) == (200, "ok")


def test_a_too_long_token_is_refused_before_it_is_read(shown: Gateway) -> None:
    shown.start()
    before = len(shown.access_log(1))
    token = signed()
    name = "n" * (LONGEST_BASIC - len(token))  # base64 adds a third

    def basic(user: str, password: str) -> str:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    answers = {
        f"Bearer {token}{'x' * (LONGEST_TOKEN - len(token) + 1)}": (401, BAD),
        f"Bearer a.b.{'c' * 9_000}": (401, BAD),
        f"Basic {'A' * LONGEST_BASIC}": FORM,
        f"Basic {'A' * 9_000}": FORM,
        basic(name, token): FORM,
        basic("", token + "x" * LONGEST_TOKEN): FORM,
    }
    assert [shown.ask(None, Authorization=value) for value in answers] == [*answers.values()]
    assert {line["reason"] for line in shown.access_log(before + len(answers))[before:]} == {"lua_response"}
    assert shown.ask(None, Authorization=basic("n", token)) == (200, "ok")


def opened(gateway: Gateway, source: str, **headers: str) -> tuple[int, str, str]:
    """Return status, text and `Connection` header of the answer to the first request of a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20, source_address=(source, 0))
    with closing(connection):
        connection.request("GET", LABELS, headers={"Host": HOST} | headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers.get("connection", "")


TOO_MANY = (429, "too many new connections from your address", "close")


@pytest.fixture
def per_address(shown: Gateway) -> Gateway:
    return shown.start(replace(SETTINGS, address_connections=Rate(2, 4), pods=2))


def test_new_connections_of_an_address_are_counted_whatever_token_they_show(per_address: Gateway) -> None:
    without = [opened(per_address, "127.0.0.9") for _ in range(6)]
    assert [answer[0] for answer in without[:4]] == [401] * 4 and without[-1] == TOO_MANY
    token = {"Authorization": f"Bearer {signed()}"}
    assert opened(per_address, "127.0.0.9", **token) == TOO_MANY
    claimed = {"X-Opstrace-Connection": "known", "X-Forwarded-For": "127.0.0.8"}
    assert opened(per_address, "127.0.0.9", **token, **claimed) == TOO_MANY
    assert [opened(per_address, "127.0.0.10", **token)[0] for _ in range(4)] == [200] * 4
    time.sleep(1.2)
    assert opened(per_address, "127.0.0.9", **token)[0] == 200  # each of two pods allows half of two a second


def test_one_connection_of_an_address_may_ask_as_often_as_it_likes(per_address: Gateway) -> None:
    token = signed()
    per_address.ask(token)
    before = per_address.http.connection_from_host("127.0.0.1", per_address.port).num_connections
    assert [per_address.ask(token) for _ in range(50)] == [(200, "ok")] * 50
    assert per_address.http.connection_from_host("127.0.0.1", per_address.port).num_connections == before


def _probed(gateway: Gateway, connections: list[socket.socket]) -> Any:
    connections.append(connected(gateway, gateway.health_port))
    connections[-1].sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n")
    return connections[-1]


def _is_cut(gateway: Gateway, connections: list[socket.socket]) -> bool:
    """Return whether one more connection to the probe's port is closed before an answer."""
    try:
        return bool(_probed(gateway, connections).recv(1) == b"")
    except ConnectionError:
        return True


def test_the_probe_s_port_holds_few_connections_for_a_moment_each(shown: Gateway) -> None:
    shown.start()
    shown.http.clear()
    connections: list[socket.socket] = []
    for _ in range(PROBE_CONNECTIONS):
        _probed(shown, connections)
    time.sleep(0.2)
    assert _is_cut(shown, connections)
    started = time.monotonic()
    answers = [first_line(connection) for connection in connections[:PROBE_CONNECTIONS]]
    assert {*answers} == {"HTTP/1.1 408 Request Timeout"} and time.monotonic() - started < 10
    for connection in connections:
        connection.close()
    with connected(shown, shown.health_port) as large:
        large.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 8192)
        assert first_line(large) == "HTTP/1.1 431 Request Header Fields Too Large"
    assert shown.is_ready()
