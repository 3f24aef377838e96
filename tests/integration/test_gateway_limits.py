"""The gateway's limits for each tenant: requests and bytes a second, and client addresses."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from components.gateway.limits import GatewayLimits, Rate, TenantRates
from components.gateway.lua_filters import MOST_BYTES
from scripts.clients.gateway.state import PodState
from tests.support.gateway import KEYS, KID, LABELS, PUSH, Gateway, Variant, signed
from tests.support.kept_connection import Client
from tests.support.polling import eventually

TOO_MANY = (429, "too many new connections of this tenant")
HELD_BACK = (429, "too many requests or bytes of this tenant")
ELSEWHERE = (403, "this tenant takes nothing from your address")
OK = (200, "ok")
SLOW = TenantRates(requests=Rate(1, 5))


@pytest.fixture
def limited(gateway: Gateway) -> Gateway:
    gateway.set_keys()
    return gateway


def statuses(gateway: Gateway, tenant: str, times: int, source: str = "127.0.0.1", body: bytes = b"") -> list[int]:
    """Return the answers to `times` requests at once from one address."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, source_address=(source, 0))
    headers = {"Host": f"cortex.{tenant}.showdown.example.com", "Authorization": f"Bearer {signed(tenant=tenant)}"}
    answers = []
    for _ in range(times):
        connection.request("POST", PUSH, body, headers)
        answer = connection.getresponse()
        answer.read()
        answers.append(answer.status)
    connection.close()
    return answers


def test_each_tenant_has_its_own_rate_and_gets_retry_after(limited: Gateway) -> None:
    limited.limit(GatewayLimits(SLOW, {"large": TenantRates(requests=Rate(100, 200))}))
    limited.start()
    started = time.monotonic()
    passed = statuses(limited, "alpha", 12).count(200)
    assert 5 <= passed <= 6 + time.monotonic() - started < 12  # one more for each second
    assert statuses(limited, "beta", 5) == [200] * 5
    assert statuses(limited, "large", 60) == [200] * 60
    headers = {"Host": "cortex.alpha.showdown.example.com", "Authorization": f"Bearer {signed(tenant='alpha')}"}
    pool = limited.http.connection_from_host("127.0.0.1", limited.port)
    answers = (pool.urlopen("GET", LABELS, headers=headers, assert_same_host=False) for _ in range(12))
    refused = next(answer for answer in answers if answer.status != 200)
    assert ((refused.status, refused.data.decode()), refused.headers["retry-after"]) == (HELD_BACK, "1")
    time.sleep(1.2)
    assert limited.ask(signed(tenant="alpha"), tenant="alpha") == OK


def test_at_the_instance_s_own_name_the_limits_are_those_of_the_token_s_tenant(limited: Gateway) -> None:
    limited.limit(GatewayLimits(exceptions={"slow": SLOW}, addresses={"elsewhere": ("203.0.113.0/24",)}))
    limited.start()

    def rules(tenant: str) -> tuple[int, str]:
        return limited.ask(signed(tenant=tenant), "/api/v1/rules", Host="showdown.example.com")

    assert rules("elsewhere") == ELSEWHERE
    assert [rules("default") for _ in range(12)] == [OK] * 12
    assert HELD_BACK in [rules("slow") for _ in range(12)]


def test_who_has_no_good_token_uses_up_nothing(limited: Gateway) -> None:
    limited.limit(GatewayLimits(SLOW))
    limited.start()
    for _ in range(30):
        assert limited.ask(signed(tenant="other"))[0] == 401
    assert statuses(limited, "default", 5) == [200] * 5


def test_bytes_are_counted_by_the_length_of_bodies(limited: Gateway) -> None:
    limited.limit(GatewayLimits(TenantRates(bytes=Rate(1, 10_000))))
    limited.start()
    assert statuses(limited, "alpha", 4, body=b"x" * 3000) == [200, 200, 200, 429]
    assert statuses(limited, "beta", 1, body=b"x" * 10_001) == [429]  # a body above the burst is always refused
    assert statuses(limited, "beta", 1, body=b"x" * 9_000) == [200]


Opener = Callable[..., Client]


@pytest.fixture
def client() -> Iterator[Opener]:
    with ExitStack() as stack:

        def opened(gateway: Gateway, tenant: str = "alpha", **headers: str) -> Client:
            return stack.enter_context(closing(Client(gateway, tenant, **headers)))

        yield opened


def let_in(gateway: Gateway, client: Opener) -> Client:
    """Return a connected client, once the gateway has noticed the end of earlier connections."""
    clients: list[Client] = []

    def is_answered() -> bool:
        clients.append(client(gateway))
        with suppress(ConnectionError):
            return clients[-1].ask() == OK
        return False

    eventually(is_answered, 30, 0.05)
    return clients[-1]


def test_connections_are_bounded_with_a_token_or_without_one(limited: Gateway, client: Opener) -> None:
    limited.start(variant=Variant(most_connections=4))
    limited.http.clear()  # `start` has left a connection open
    connections = [let_in(limited, client) for _ in range(4)]
    assert [one.ask() for one in connections] == [OK] * 4
    with pytest.raises(ConnectionError):
        client(limited).ask()
    assert limited.is_ready()
    connections[0].close()
    let_in(limited, client)


def test_new_connections_are_counted_and_open_ones_are_not(limited: Gateway, client: Opener) -> None:
    limited.limit(
        GatewayLimits(TenantRates(connections=Rate(1, 4)), {"large": TenantRates(connections=Rate(100, 100))})
    )
    limited.start()
    opened = [client(limited) for _ in range(4)]
    assert [one.ask() for one in opened] == [OK] * 4
    late = client(limited)
    assert late.ask() == TOO_MANY
    assert late.last["connection"] == "close" and late.last["retry-after"] == "1"
    with pytest.raises(http.client.NotConnected):
        late.ask()
    assert [one.ask() for one in opened * 10] == [OK] * 40
    assert [client(limited, tenant).ask() for tenant in ("beta", *["large"] * 20)] == [OK] * 21
    time.sleep(1.2)
    assert client(limited).ask() == OK


def test_a_client_cannot_mark_its_connection_as_known(limited: Gateway, client: Opener) -> None:
    limited.limit(GatewayLimits(TenantRates(connections=Rate(1, 1))))
    limited.start()
    headers = {"X-Opstrace-Connection": "known"}
    assert [one.ask() for one in [client(limited, **headers) for _ in range(3)]] == [OK, TOO_MANY, TOO_MANY]
    # A client's own header does not change the result.
    assert client(limited, "beta", **{"X-Opstrace-Connection": "too-many"}).ask() == OK


def test_connections_without_a_good_token_use_up_nothing(limited: Gateway, client: Opener) -> None:
    limited.limit(GatewayLimits(TenantRates(connections=Rate(1, 2))))
    limited.start()
    other = f"Bearer {signed(tenant='other')}"
    refused = [client(limited) for _ in range(10)]
    assert {(one.ask(Authorization=other)[0], one.last["connection"]) for one in refused} == {(401, "close")}
    assert [client(limited).ask() for _ in range(3)] == [OK, OK, TOO_MANY]


def test_a_change_of_limits_takes_no_open_connection_for_a_new_one(limited: Gateway, client: Opener) -> None:
    limited.start()
    opened = [client(limited) for _ in range(20)]
    assert [one.ask() for one in opened] == [OK] * 20
    limited.limit(GatewayLimits(TenantRates(connections=Rate(1, 1))))
    limited.set_keys({**KEYS})
    eventually(lambda: client(limited).ask() == TOO_MANY, 30, 0)
    assert [one.ask() for one in opened] == [OK] * 20


def test_a_tenant_with_ranges_is_reached_from_these_alone(limited: Gateway) -> None:
    limited.limit(GatewayLimits(addresses={"alpha": ("127.0.0.4/30", "127.0.1.1/32"), "beta": ("203.0.113.0/24",)}))
    limited.start()
    sources = ["127.0.0.3", "127.0.0.4", "127.0.0.7", "127.0.0.8", "127.0.1.1", "127.0.1.2"]
    assert [statuses(limited, "alpha", 1, source)[0] for source in sources] == [403, 200, 200, 403, 200, 403]
    assert [statuses(limited, tenant, 1)[0] for tenant in ("beta", "default")] == [403, 200]
    assert limited.ask(signed(tenant="beta"), tenant="beta") == ELSEWHERE
    # Only clients with the tenant's token learn that it has ranges.
    assert limited.ask(signed(), tenant="beta")[0] == 401


def test_no_header_of_a_client_is_its_address(limited: Gateway) -> None:
    limited.limit(GatewayLimits(addresses={"default": ("203.0.113.0/24",)}))
    limited.start()
    connection = http.client.HTTPConnection("127.0.0.1", limited.port)
    for name in ("X-Forwarded-For", "X-Real-IP", "X-Envoy-External-Address", "Forwarded", "True-Client-IP"):
        headers = {
            "Host": "cortex.default.showdown.example.com",
            "Authorization": f"Bearer {signed()}",
            name: "203.0.113.7",
        }
        connection.request("GET", LABELS, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 403, name
    connection.close()


def test_limits_change_while_requests_come_and_none_is_lost(limited: Gateway) -> None:
    limited.start()
    stop, answers = threading.Event(), []

    def ask_on() -> None:
        while not stop.is_set():
            answers.extend(statuses(limited, "default", 20))

    threads = [threading.Thread(target=ask_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    many = {f"tenant{number}": TenantRates(Rate(number + 1, number + 1)) for number in range(500)}
    ranges = {f"tenant{number}": ("203.0.113.0/24",) for number in range(500)}
    for limits in (
        GatewayLimits(SLOW, {"default": TenantRates(Rate(10**6, 10**6))}),
        GatewayLimits(SLOW, many, ranges),
    ):
        time.sleep(0.5)
        limited.limit(limits)
    try:
        eventually(lambda: 429 in answers[-100:], 30, 0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {*answers} <= {200, 429} and answers.count(200) > 100
    limited.await_state(PodState([KID], current=True, refused=False))


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(limited: Gateway) -> None:
    limited.start()
    head = f"POST {PUSH} HTTP/1.1\r\nHost: cortex.default.showdown.example.com\r\nAuthorization: Bearer {signed()}\r\n"
    for length, status in ((MOST_BYTES + 1, b"413"), (10**30, b"4")):
        with socket.create_connection(("127.0.0.1", limited.port), 5) as connection:
            connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 " + status), length
    assert limited.back_end.requests == []


def test_a_client_that_sends_too_slowly_is_disconnected(limited: Gateway) -> None:
    limited.start(request_timeout="1s", request_headers_timeout="1s")
    head = f"POST {PUSH} HTTP/1.1\r\nHost: cortex.default.showdown.example.com\r\nAuthorization: Bearer {signed()}\r\n"
    for part in (head[:40], f"{head}Content-Length: 10\r\n\r\n123"):
        with socket.create_connection(("127.0.0.1", limited.port), 20) as connection:
            started = time.monotonic()
            connection.sendall(part.encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 408")
            assert 0.9 < time.monotonic() - started < 20


def states() -> Iterator[GatewayLimits]:
    yield GatewayLimits()
    yield GatewayLimits(SLOW)
    yield GatewayLimits(
        TenantRates(Rate(1, 2), Rate(3, 4), Rate(5, 6)), {"a": TenantRates(bytes=Rate(5, 6))}, {"b": ("10.0.0.0/8",)}
    )


@pytest.mark.parametrize("limits", states())
def test_the_gateway_reports_that_its_limits_are_current(limited: Gateway, limits: GatewayLimits) -> None:
    limited.limit(limits)
    limited.start()
    assert limited.state() == PodState([KID], current=True, refused=False)
    limited.limit(GatewayLimits(addresses={"c": ("10.0.0.0/8",)}))
    limited.await_state(PodState([KID], current=True, refused=False))
