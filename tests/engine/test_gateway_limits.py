"""What the gateway lets through of each tenant: how much a second, and from which addresses."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
import urllib3

from components.gateway_config import UNDECLARED
from components.gateway_limits import MOST_UNDECLARED_BYTES, GatewayLimits, Rate, TenantRates
from components.gateway_lua import MOST_BYTES
from components.names import TAIL
from scripts.gateway_state import PodState
from tests.engine.gateway import BAD, KEYS, KID, LABELS, LATER_SECONDS, PUSH, Gateway, signed
from tests.security.wire import Stream
from tests.waiting import eventually

TOO_MANY = (429, "too many new connections of this tenant")
HELD_BACK = (429, "too many requests or bytes of this tenant")
ELSEWHERE = (403, "this tenant takes nothing from your address")
OK = (200, "ok")
PIECE = 1000
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
    started = time.monotonic()
    passed = asked(limited, "alpha", 12).count(200)
    assert 5 <= passed <= 6 + time.monotonic() - started < 12  # one more for each second that has passed
    assert asked(limited, "beta", 5) == [200] * 5
    assert asked(limited, "large", 60) == [200] * 60
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
        return limited.ask(signed(tenant=tenant), "/api/v1/rules", host="showdown.example.com")

    assert rules("elsewhere") == ELSEWHERE
    assert [rules("default") for _ in range(12)] == [OK] * 12
    assert HELD_BACK in [rules("slow") for _ in range(12)]


def test_who_has_no_good_token_uses_up_nothing(limited: Gateway) -> None:
    limited.limit(GatewayLimits(SLOW))
    limited.start()
    for _ in range(30):
        assert limited.ask(signed(tenant="other"))[0] == 401
    assert asked(limited, "default", 5) == [200] * 5


def test_bytes_are_counted_by_the_length_of_bodies(limited: Gateway) -> None:
    limited.limit(GatewayLimits(TenantRates(bytes=Rate(1, 10_000))))
    limited.start()
    assert asked(limited, "alpha", 4, body=b"x" * 3000) == [200, 200, 200, 429]
    assert asked(limited, "beta", 1, body=b"x" * 10_001) == [429]  # more than the burst never passes
    assert asked(limited, "beta", 1, body=b"x" * 9_000) == [200]


def in_pieces(gateway: Gateway, size: int, path: str = PUSH, **more: str) -> tuple[int, str]:
    """Push a body whose length is not declared, and return the answer."""
    pieces = (b"x" * min(PIECE, size - sent) for sent in range(0, size, PIECE))
    return gateway.ask(signed(tenant="alpha"), path, "POST", "alpha", body=pieces, **more)


@pytest.mark.parametrize("path", [PUSH, TAIL])
def test_a_body_in_pieces_is_counted_when_it_is_whole_whatever_its_client_says(limited: Gateway, path: str) -> None:
    limited.limit(GatewayLimits(TenantRates(bytes=Rate(1, 10 * PIECE))))
    limited.start()
    found = [
        in_pieces(limited, 3 * PIECE, path, **{"X-Opstrace-Bytes": "1", "Upgrade": "websocket"})[0] for _ in range(4)
    ]
    assert found == [200, 200, 200, 429]


def test_a_body_in_pieces_is_bounded_and_never_arrives_in_part(limited: Gateway) -> None:
    limited.start()
    assert in_pieces(limited, MOST_UNDECLARED_BYTES)[0] == 200
    limited.back_end.seen.clear()
    try:
        assert in_pieces(limited, MOST_UNDECLARED_BYTES + 1) == (413, UNDECLARED)
    except urllib3.exceptions.ProtocolError:
        pass  # the connection was closed while it still sent
    assert limited.back_end.seen == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_without_a_length_is_counted_by_http_2_too(limited: Gateway, method: str) -> None:
    limited.limit(GatewayLimits(TenantRates(bytes=Rate(1, 10 * PIECE))))
    limited.start()
    path = LABELS if method == "GET" else PUSH
    fields = {":method": method, ":scheme": "http", ":authority": "cortex.alpha.showdown.example.com", ":path": path}
    fields["authorization"] = f"Bearer {signed(tenant='alpha')}"
    found = []
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", limited.port), 5) as connection:
            stream = Stream(connection)
            stream.send([(name.encode(), value.encode()) for name, value in fields.items()], b"x" * 3 * PIECE)
            found.append(stream.answer()[0])
    assert found == [200, 200, 200, 429]


class Client:
    """One connection to the gateway, for as many requests as it lives."""

    def __init__(self, gateway: Gateway, tenant: str = "alpha", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
        self._connection.connect()
        self._connection.auto_open = 0  # or it would open another in silence
        host = {"Host": f"cortex.{tenant}.showdown.example.com"}
        self._headers = host | {"Authorization": f"Bearer {signed(tenant=tenant)}"} | headers
        self.last: dict[str, str] = {}

    def asked(self, **headers: str) -> tuple[int, str]:
        self._connection.request("GET", LABELS, headers=self._headers | headers)
        answer = self._connection.getresponse()
        self.last = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read().decode()

    def close(self) -> None:
        self._connection.close()


Opener = Callable[..., Client]


@pytest.fixture
def client() -> Iterator[Opener]:
    with ExitStack() as stack:

        def opened(*arguments: Any, **headers: str) -> Client:
            return stack.enter_context(closing(Client(*arguments, **headers)))

        yield opened


def let_in(gateway: Gateway, client: Opener) -> Client:
    """Return a client that is answered, as one is when the gateway has seen that earlier ones have gone."""
    found: list[Client] = []

    def is_answered() -> bool:
        found.append(client(gateway))
        with suppress(ConnectionError):
            return found[-1].asked() == OK
        return False

    eventually(is_answered, 30, 0.05)
    return found[-1]


def test_connections_are_bounded_with_a_token_or_without_one(limited: Gateway, client: Opener) -> None:
    limited.start(most_connections=4)
    limited.http.clear()  # with it was asked whether it has started
    held = [let_in(limited, client) for _ in range(4)]
    assert [one.asked() for one in held] == [OK] * 4
    with pytest.raises(ConnectionError):
        client(limited).asked()
    assert limited.is_ready()
    held[0].close()
    let_in(limited, client)


def test_new_connections_are_counted_and_open_ones_are_not(limited: Gateway, client: Opener) -> None:
    limited.limit(
        GatewayLimits(TenantRates(connections=Rate(1, 4)), {"large": TenantRates(connections=Rate(100, 100))})
    )
    limited.start()
    opened = [client(limited) for _ in range(4)]
    assert [one.asked() for one in opened] == [OK] * 4
    late = client(limited)
    assert late.asked() == TOO_MANY
    assert late.last["connection"] == "close" and late.last["retry-after"] == "1"
    with pytest.raises(http.client.NotConnected):
        late.asked()
    assert [one.asked() for one in opened * 10] == [OK] * 40
    assert [client(limited, tenant).asked() for tenant in ("beta", *["large"] * 20)] == [OK] * 21
    time.sleep(1.2)
    assert client(limited).asked() == OK


def test_no_client_says_itself_that_its_connection_is_known(limited: Gateway, client: Opener) -> None:
    limited.limit(GatewayLimits(TenantRates(connections=Rate(1, 1))))
    limited.start()
    said = {"X-Opstrace-Connection": "known"}
    assert [one.asked() for one in [client(limited, **said) for _ in range(3)]] == [OK, TOO_MANY, TOO_MANY]
    # And who says the other thing refuses himself nothing.
    assert client(limited, "beta", **{"X-Opstrace-Connection": "too-many"}).asked() == OK


def test_connections_without_a_good_token_use_up_nothing(limited: Gateway, client: Opener) -> None:
    limited.limit(GatewayLimits(TenantRates(connections=Rate(1, 2))))
    limited.start()
    other = f"Bearer {signed(tenant='other')}"
    refused = [client(limited) for _ in range(10)]
    assert {one.asked(Authorization=other)[0] for one in refused} == {401}
    assert [one.asked() for one in refused[:3]] == [OK, OK, TOO_MANY]


def test_a_change_of_limits_takes_no_open_connection_for_a_new_one(limited: Gateway, client: Opener) -> None:
    limited.start()
    opened = [client(limited) for _ in range(20)]
    assert [one.asked() for one in opened] == [OK] * 20
    limited.limit(GatewayLimits(TenantRates(connections=Rate(1, 1))))
    limited.give({**KEYS})
    eventually(lambda: client(limited).asked() == TOO_MANY, 30, 0)
    assert [one.asked() for one in opened] == [OK] * 20


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
    try:
        eventually(lambda: 429 in answers[-100:], 30, 0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {*answers} <= {200, 429} and answers.count(200) > 100
    limited.comes_to(PodState([KID], current=True, refused=False))


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
        with socket.create_connection(("127.0.0.1", limited.port), 20) as connection:
            started = time.monotonic()
            connection.sendall(part.encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 408")
            assert 0.9 < time.monotonic() - started < 20


@contextmanager
def followed(gateway: Gateway, token: str) -> Iterator[tuple[socket.socket, bytes]]:
    """Ask for a tail; yields the connection and how the answer begins."""
    lines = [
        "GET /loki/api/v1/tail HTTP/1.1",
        "Host: loki.default.showdown.example.com",
        f"Authorization: Bearer {token}",
        *(
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ),
    ]
    with socket.create_connection(("127.0.0.1", gateway.port), 2 + LATER_SECONDS) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        yield connection, connection.recv(65536)


def test_a_tail_is_followed_for_longer_than_a_request_may_take_to_arrive(limited: Gateway) -> None:
    limited.start(request_timeout="1s")
    with followed(limited, signed()) as (connection, answer):
        assert answer.startswith(b"HTTP/1.1 101")
        assert connection.recv(5) == b"later"


def test_a_tail_ends_before_its_token_has_been_revoked_for_long_and_cannot_begin_again(limited: Gateway) -> None:
    limited.start(tail="1s")
    token = signed(id="revoked-token")
    with followed(limited, token) as (connection, answer):
        assert answer.startswith(b"HTTP/1.1 101")
        limited.give(revoked=["revoked-token"])
        # The end in place of what would have come, and no reset: logcli takes it for a reason to begin again.
        assert connection.recv(5) == b""
    limited.eventually((401, f"{BAD}: revoked"), token)
    with followed(limited, token) as (_, answer):
        assert answer.startswith(b"HTTP/1.1 401")


def states() -> Iterator[GatewayLimits]:
    yield GatewayLimits()
    yield GatewayLimits(SLOW)
    yield GatewayLimits(
        TenantRates(Rate(1, 2), Rate(3, 4), Rate(5, 6)), {"a": TenantRates(bytes=Rate(5, 6))}, {"b": ("10.0.0.0/8",)}
    )


@pytest.mark.parametrize("limits", states())
def test_the_gateway_tells_what_it_has_in_the_same_words(limited: Gateway, limits: GatewayLimits) -> None:
    limited.limit(limits)
    limited.start()
    assert limited.state() == PodState([KID], current=True, refused=False)
    limited.limit(GatewayLimits(addresses={"c": ("10.0.0.0/8",)}))
    limited.comes_to(PodState([KID], current=True, refused=False))
