"""The cost of connections that are slow, silent, or do not read.

Each test is one class of attacks, alone. Long tests and variations of numbers are nightly.
"""

from typing import Any

import pytest

from components.gateway.limits import GatewayLimits, Rate, TenantRates
from components.gateway.settings import SILENT_SECONDS
from tests.security.cost.http1 import request
from tests.security.cost.plans import hold
from tests.security.cost.pod import CORTEX, DOMAIN, EVIL, Pod
from tests.security.cost.requests import (
    FROM,
    LARGE,
    LARGEST_WINDOW,
    NO_WINDOW,
    PROBE_BYTES,
    USUAL_WINDOW,
    http2,
    large_answer,
    unfinished_body,
    unfinished_headers,
)
from tests.support.gateway import LABELS, PUSH, signed

SECONDS, LONG_SECONDS = 3.0, 60.0
PER_SECOND = 1000  # new connections of the attacker
SMALLEST_BUFFER = 4096  # bytes of a socket that is not read
MANY_SILENT = 4010
SILENT_FOR = SILENT_SECONDS + 1.5
SLOW = TenantRates(requests=Rate(1, 1), connections=Rate(1, 1))
READING = ("metrics:read",)


def nightly(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.nightly)


def http2_parts(seconds: float) -> list[dict[str, Any]]:
    """Return the attacks that need HTTP/2: empty windows, answers that are not read, bodies that do not end."""
    token = signed(tenant=EVIL)
    return [
        hold([http2(LABELS, None, NO_WINDOW)], 190, PER_SECOND, seconds),
        hold([http2(LARGE, token, LARGEST_WINDOW)], 9, PER_SECOND, seconds, receive_buffer=SMALLEST_BUFFER),
        hold([http2(PUSH, token, USUAL_WINDOW, b"x" * 60_000)], 45, PER_SECOND, seconds),
    ]


@pytest.mark.parametrize("part", [None, nightly(0), nightly(1), nightly(2)])
def test_http_2_is_refused_before_it_costs_anything(pod: Pod, part: int | None) -> None:
    pod.start(GatewayLimits(exceptions={EVIL: SLOW}))
    parts = http2_parts(SECONDS if part is None else LONG_SECONDS / 2)
    with pod.trial(f"h2 settings {'' if part is None else part}") as figures:
        seen = pod.attack(*(parts if part is None else parts[part : part + 1]))
    figures.assert_held()
    states = [states for one in seen for states in one["states"]]
    assert {*states} <= {"400 closed", "closed"}, seen


@pytest.mark.parametrize(
    ("connections", "seconds"), [(1500, SECONDS), nightly(300, SECONDS), nightly(3000, LONG_SECONDS)]
)
def test_large_answers_that_are_not_read(pod: Pod, connections: int, seconds: float) -> None:
    pod.start()
    payload = large_answer(signed(tenant=EVIL, scopes=READING))
    with pod.trial(f"slow reading, {connections} connections") as figures:
        (seen,) = pod.attack(hold([payload], connections, PER_SECOND / 2, seconds, receive_buffer=SMALLEST_BUFFER))
    assert seen["opened"] == connections
    figures.assert_held()


@pytest.mark.parametrize(
    ("bodies", "headers", "seconds"),
    [(1500, 1500, SECONDS), nightly(3900, 0, LONG_SECONDS), nightly(0, 3900, LONG_SECONDS)],
)
def test_bodies_and_headers_that_do_not_end(pod: Pod, bodies: int, headers: int, seconds: float) -> None:
    pod.start(GatewayLimits(exceptions={EVIL: SLOW}))
    body, head = unfinished_body(signed(tenant=EVIL)), FROM + unfinished_headers()
    with pod.trial(f"slow writing, {bodies} and {headers}") as figures:
        seen = pod.attack(hold([body], bodies, PER_SECOND / 2, seconds), hold([head], headers, PER_SECOND / 2, seconds))
    assert [one["opened"] for one in seen] == [bodies, headers]
    figures.assert_held()
    # The tenant may send one request a second: further requests are refused before their bodies are read.
    open_bodies = seen[0]["states"].get("open", 0)
    assert open_bodies <= 1 + bodies / (PER_SECOND / 2) + seconds + 1, seen


def silent_clients() -> dict[str, bytes]:
    """Return the first bytes of clients that then stay silent: no bytes, or requests without a good token."""
    declared = request(CORTEX, PUSH, None, "POST").removesuffix(b"\r\n") + b"Content-Length: 999999999\r\n\r\n"
    requests = {
        "no token": request(CORTEX, LABELS, None),
        "no form": request(CORTEX, LABELS, "Bearer x"),
        "bad token": request(CORTEX, LABELS, "Bearer e30.e30.e30"),
        "no such host": request("example.com", LABELS, None),
        "no such tenant": request(f"cortex.UPPER_CASE.{DOMAIN}", LABELS, None),
        "no such path": request(CORTEX, "/nothing", None),
        "too large": declared,
        "escaped slash": request(CORTEX, "/api%2fv1/labels", None),
        "half a line": b"GET /api/v1",
        "no request": b"",  # the load balancer's part of a connection from a silent client
    }
    # A pod of the cluster can open a connection without the load balancer's header.
    return {name: FROM + sent for name, sent in requests.items()} | {"no address": b""}


@pytest.mark.parametrize("name", [None, *(nightly(name) for name in silent_clients())])
def test_connections_that_say_nothing_more_are_closed(pod: Pod, name: str | None) -> None:
    pod.start()
    sent = [text for kind, text in silent_clients().items() if name in (None, kind)]
    with pod.trial(f"silent: {name or 'all kinds'}") as figures:
        (seen,) = pod.attack(hold(sent, MANY_SILENT, PER_SECOND, SILENT_FOR))
    figures.assert_held()
    assert not [state for state in seen["states"] if state.endswith("open")], seen


@pytest.mark.nightly
@pytest.mark.parametrize("sent", [b"", FROM, FROM + b"GET / HTTP/1.1\r\n"], ids=["nothing", "address", "a line"])
def test_slow_connections_lock_no_other_client_out(pod: Pod, sent: bytes) -> None:
    pod.start()
    with pod.trial(f"silent, 30,000 connections: {len(sent)} bytes") as figures:
        pod.attack(hold([sent], 30_000, PER_SECOND, SILENT_FOR))
    figures.assert_held()


@pytest.mark.parametrize("seconds", [SECONDS, nightly(LONG_SECONDS)])
def test_headers_at_the_probe_s_port_that_do_not_end(pod: Pod, seconds: float) -> None:
    pod.start()
    head = unfinished_headers("/ready", PROBE_BYTES)
    with pod.trial("probe port, 6000 connections", on_probe_port=True) as figures:
        (seen,) = pod.attack(hold([head], 6000, 2 * PER_SECOND, seconds, port=pod.gateway.health_port))
    assert seen["opened"] == 6000, seen
    figures.assert_held()
    assert pod.gateway.is_ready()
