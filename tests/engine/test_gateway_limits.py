"""What the gateway lets through of each tenant: how much a second, and from which addresses."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from components.gateway_limits import GatewayLimits, Rate, TenantRates
from components.gateway_lua import ASSUMED_BYTES, MOST_BYTES
from scripts.gateway_state import PodState
from tests.engine.gateway import KID, LABELS, LATER_SECONDS, PUSH, Gateway, signed

HELD_BACK = (429, "too many requests or bytes of this tenant")
ELSEWHERE = (403, "this tenant takes nothing from your address")
OK = (200, "ok")
SLOW = TenantRates(requests=Rate(1, 5))


@pytest.fixture
def limited(gateway: Gateway) -> Gateway:
    gateway.give()
    return gateway


def asked(gateway: Gateway, tenant: str, times: int, source: str = "127.0.0.1", body: bytes = b"") -> list[int]:
    """Return the answers to so many requests at once from one address."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, source_address=(source, 0))
    headers = {"Host": f"cortex.{tenant}.showdown.example.com", "Authorization": f"Bearer {signed(tenant=tenant)}"}
    found = []
    for _ in range(times):
        connection.request("POST", PUSH, body, headers)
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)
    connection.close()
    return found


def test_each_tenant_has_a_bucket_of_its_own_and_is_told_when_to_come_again(limited: Gateway) -> None:
    limited.limit(GatewayLimits(SLOW, {"large": TenantRates(requests=Rate(100, 200))}))
    limited.start()
    assert asked(limited, "alpha", 12).count(200) in (5, 6)  # one more where a second has passed
    assert asked(limited, "beta", 5) == [200] * 5
    assert asked(limited, "large", 60) == [200] * 60
    assert limited.ask(signed(tenant="alpha"), tenant="alpha") == HELD_BACK
    answer = limited.http.connection_from_host("127.0.0.1", limited.port).urlopen(
        "GET",
        LABELS,
        headers={"Host": "cortex.alpha.showdown.example.com", "Authorization": f"Bearer {signed(tenant='alpha')}"},
        assert_same_host=False,
    )
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    time.sleep(1.2)
    assert limited.ask(signed(tenant="alpha"), tenant="alpha") == OK


def test_who_has_no_good_token_uses_up_nothing(limited: Gateway) -> None:
    limited.limit(GatewayLimits(SLOW))
    limited.start()
    for _ in range(30):
        assert limited.ask(signed(tenant="other"))[0] == 401
    assert asked(limited, "default", 5) == [200] * 5


def test_bytes_are_counted_by_the_length_of_bodies(limited: Gateway) -> None:
    limited.limit(GatewayLimits(TenantRates(bytes=Rate(1000, 10_000))))
    limited.start()
    assert asked(limited, "alpha", 4, body=b"x" * 3000) == [200, 200, 200, 429]
    assert asked(limited, "beta", 1, body=b"x" * 10_001) == [429]  # more than the burst never passes
    assert asked(limited, "beta", 1, body=b"x" * 9_000) == [200]


def test_a_body_in_pieces_is_not_free(limited: Gateway) -> None:
    limited.limit(GatewayLimits(TenantRates(bytes=Rate(1000, 3 * ASSUMED_BYTES))))
    limited.start()
    said = {"Host": "cortex.alpha.showdown.example.com", "Authorization": f"Bearer {signed(tenant='alpha')}"}
    said |= {"X-Opstrace-Bytes": "1"}
    pool = limited.http.connection_from_host("127.0.0.1", limited.port)
    pieces = [pool.urlopen("POST", PUSH, iter([b"x"]), said, chunked=True, assert_same_host=False) for _ in range(5)]
    assert [answer.status for answer in pieces] == [200, 200, 200, 429, 429]


def test_a_tenant_with_ranges_is_reached_from_these_alone(limited: Gateway) -> None:
    limited.limit(GatewayLimits(addresses={"alpha": ("127.0.0.4/30", "127.0.1.1/32"), "beta": ("203.0.113.0/24",)}))
    limited.start()
    sources = ["127.0.0.3", "127.0.0.4", "127.0.0.7", "127.0.0.8", "127.0.1.1", "127.0.1.2"]
    assert [asked(limited, "alpha", 1, source)[0] for source in sources] == [403, 200, 200, 403, 200, 403]
    assert [asked(limited, tenant, 1)[0] for tenant in ("beta", "default")] == [403, 200]
    assert limited.ask(signed(tenant="beta"), tenant="beta") == ELSEWHERE
    # Whether a tenant has ranges is told to those alone who have its token.
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
            answers.extend(asked(limited, "default", 20))

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
    time.sleep(1.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert {*answers} <= {200, 429} and answers.count(200) > 100 and 429 in answers[-100:]
    assert limited.state() == PodState([KID], current=True, refused=False)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(limited: Gateway) -> None:
    limited.start()
    head = f"POST {PUSH} HTTP/1.1\r\nHost: cortex.default.showdown.example.com\r\nAuthorization: Bearer {signed()}\r\n"
    for length, status in ((MOST_BYTES + 1, b"413"), (10**30, b"4")):
        with socket.create_connection(("127.0.0.1", limited.port), 5) as connection:
            connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 " + status), length
    assert limited.back_end.seen == []


def test_a_client_that_is_slow_to_send_is_given_up(limited: Gateway) -> None:
    limited.start(request_timeout="1s", request_headers_timeout="1s")
    head = f"POST {PUSH} HTTP/1.1\r\nHost: cortex.default.showdown.example.com\r\nAuthorization: Bearer {signed()}\r\n"
    for part in (head[:40], f"{head}Content-Length: 10\r\n\r\n123"):
        with socket.create_connection(("127.0.0.1", limited.port), 5) as connection:
            connection.sendall(part.encode())
            started = time.monotonic()
            assert connection.recv(65536).startswith(b"HTTP/1.1 408")
            assert 0.9 < time.monotonic() - started < 3


def test_a_tail_is_followed_for_longer_than_a_request_may_take_to_arrive(limited: Gateway) -> None:
    limited.start(request_timeout="1s")
    lines = [
        "GET /loki/api/v1/tail HTTP/1.1",
        "Host: loki.default.showdown.example.com",
        f"Authorization: Bearer {signed()}",
        *(
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ),
    ]
    with socket.create_connection(("127.0.0.1", limited.port), 2 + LATER_SECONDS) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 101")
        assert connection.recv(5) == b"later"


def states() -> Iterator[GatewayLimits]:
    yield GatewayLimits()
    yield GatewayLimits(SLOW)
    yield GatewayLimits(
        TenantRates(Rate(1, 2), Rate(3, 4)), {"a": TenantRates(bytes=Rate(5, 6))}, {"b": ("10.0.0.0/8",)}
    )


@pytest.mark.parametrize("limits", states())
def test_the_gateway_tells_what_it_has_in_the_same_words(limited: Gateway, limits: GatewayLimits) -> None:
    limited.limit(limits)
    limited.start()
    assert limited.state() == PodState([KID], current=True, refused=False)
    limited.limit(GatewayLimits(addresses={"c": ("10.0.0.0/8",)}))
    time.sleep(1)
    assert limited.state() == PodState([KID], current=True, refused=False)
