"""The gateway's access log, by the real Envoy."""

import socket
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from components.core.units import DAY
from components.gateway.access_log import FIELDS, KEY_ID_HEADER, TOKEN_ENDS_HEADER, TOKEN_ID_HEADER
from tests.support.gateway import (
    KID,
    LABELS,
    LOKI_LABELS,
    PUSH,
    RULES,
    Gateway,
    forged,
    signed,
)


def test_each_request_is_a_line_of_the_access_log(gateway: Gateway) -> None:
    gateway.set_keys(revoked=["revoked-token"])
    gateway.start()
    before, before_it = len(gateway.back_end.requests), len(gateway.access_log(1))
    started = time.time()
    gateway.ask(signed(id="this-one"), f"{PUSH}?query=what", "POST", body=b"x" * 1234)
    gateway.ask(forged('"jti": "revoked-token"'), LOKI_LABELS)
    gateway.ask(signed(id="unseen") + "x", LABELS)
    gateway.ask(signed(id="elsewhere"), "/admin/../config", tenant="other")
    for token in (signed(id="for-rules"), forged('"jti": "revoked-token"')):
        gateway.ask(token, RULES[0], Host="showdown.example.com")
    assert len(gateway.back_end.requests) == before + 2
    logged = gateway.access_log(before_it + 6)[-6:]
    common = {"key_id": KID, "client": "127.0.0.1"}
    expected = [
        {"tenant": "default", "api": "cortex", "method": "POST", "path": PUSH, "status": 200, "token_id": "this-one"},
        {"tenant": "default", "api": "loki", "method": "GET", "path": LOKI_LABELS, "status": 401},
        {"tenant": "default", "api": "cortex", "method": "GET", "path": LABELS, "status": 401, "key_id": None},
        # At a closed path the token is checked first.
        {
            "tenant": "other",
            "api": "cortex",
            "method": "GET",
            "path": "/config",
            "status": 401,
            "token_id": "elsewhere",
        },
        {"tenant": "default", "api": "cortex", "path": RULES[0], "status": 200, "token_id": "for-rules"},
        {"tenant": "default", "api": "cortex", "path": RULES[0], "status": 401, "token_id": "revoked-token"},
    ]
    for line, part in zip(logged, (common | part for part in expected), strict=True):
        assert {name: line.get(name) for name in part} == part, line
    assert {*logged[0]} == {*FIELDS} and logged[1]["token_id"] == "revoked-token"
    assert (logged[0]["bytes_received"], logged[0]["bytes_sent"]) == (1234, len("ok"))
    assert abs(datetime.fromisoformat(logged[0]["time"]).timestamp() - started) < 5 and logged[0]["duration_ms"] < 5000
    assert logged[2]["token_id"] is None and "Jwt" in logged[2]["reason"]


@pytest.mark.parametrize(
    ("days", "age", "is_logged"),
    [
        (28, 28 - 6.9, True),
        (28, 28 - 7.1, False),
        (27, 27 - 1, False),  # it lives for a shorter time, so a program makes it anew
        (365, 365 - 6.9, True),
    ],
)
def test_the_end_of_a_token_that_is_near_is_logged(gateway: Gateway, days: int, age: float, is_logged: bool) -> None:
    gateway.set_keys()
    gateway.start()
    issued = int(time.time() - age * DAY)
    token = signed(seconds=days * DAY, issued=issued)
    own: dict[str, Any] = {TOKEN_ENDS_HEADER: "a client's own"}
    assert gateway.ask(token, **own)[0] == 200
    assert gateway.ask(token, tenant="other")[0] == 401  # a refused request does not use its token
    admitted, refused = gateway.access_log(2)[-2:]
    ends = datetime.fromtimestamp(issued + days * DAY, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (admitted["token_ends"], refused["token_ends"]) == (ends if is_logged else None, None)


def test_ids_of_any_text_are_logged_and_inject_no_header(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    text = '"jti": "a\\r\\nX-Scope-OrgID: other\\u0000\\u00e9"'
    assert gateway.ask(forged(text)) == (200, "ok")
    assert gateway.back_end.requests[-1] == f"default GET /prometheus{LABELS}"
    forged_ids: dict[str, Any] = {TOKEN_ID_HEADER: "x", KEY_ID_HEADER: KID}
    assert gateway.ask(None, **forged_ids)[0] == 401
    verified, refused = gateway.access_log(2)[-2:]
    assert (verified["key_id"], verified["token_id"]) == (KID, "a??X-Scope-OrgID:?other???")
    assert (refused["key_id"], refused["token_id"]) == (None, None)


def test_no_token_comes_into_the_access_log_wherever_it_stands(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start()
    token = signed()
    head, claims, signature = token.split(".")
    host, port = "Host: cortex.default.showdown.example.com\r\n", gateway.port
    requests = [
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
    for request in requests:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(f"{request}Connection: close\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 "), request
    assert len(gateway.access_log(len(requests))) >= len(requests)
    text = gateway.log.read_text()
    assert [part for part in (head, claims, signature, claims[:40]) if part in text] == []
