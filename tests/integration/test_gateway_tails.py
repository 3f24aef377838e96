"""How long a client can follow logs, by the real Envoy: as long as its token is good at the gateway."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.core.scopes import KeyLimits
from components.gateway.limits import GatewayLimits, Rate, TenantRates
from components.gateway.settings import DRAIN_SECONDS
from components.gateway.tails.listener import CHANGED, TAILS
from scripts.clients.gateway.state import PodState
from scripts.tokens.signing import Grant, Signer
from tests.support.backend import Backend
from tests.support.gateway import BAD, BOTH, KEYS, KID, LOKI_LABELS, OTHER_KEY, SETTINGS, Gateway, Variant, signed
from tests.support.name_server import NameServer
from tests.support.polling import eventually
from tests.support.ports import own_address
from tests.support.recording_server import LATER_SECONDS, BackEnd

TAIL = "/loki/api/v1/tail?query=%7Bservice_name%3D%22billing%22%7D"
REVOKED = "revoked-token"
MINUTE = 60


class Tail:
    """A client that follows logs and never connects again."""

    def __init__(self, port: int, token: str | None, *headers: str, tenant: str = "default") -> None:
        credentials = [f"Authorization: Bearer {token}"] if token else []
        upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
        lines = [f"GET {TAIL} HTTP/1.1", f"Host: loki.{tenant}.showdown.example.com", *credentials, *upgrade, key]
        self.connection = socket.create_connection(("127.0.0.1", port), 10)
        self.connection.sendall(("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode())
        self.received = self.connection.recv(65536)
        self.status = int(self.received.split()[1])

    def reads(self, seconds: float) -> bool:
        """Receive for `seconds`; return whether the tail goes on after them."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self.connection.settimeout(left)
            try:
                data = self.connection.recv(65536)
            except TimeoutError:
                return True
            if not data:
                return False
            self.received += data
        return True

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def follow(gateway: Gateway) -> Iterator[Callable[..., Tail]]:
    gateway.back_end.pings = True
    gateway.set_keys()
    with ExitStack() as stack:

        def begin(token: str | None, *headers: str, **more: Any) -> Tail:
            return stack.enter_context(closing(Tail(gateway.port, token, *headers, **more)))

        yield begin


Follow = Callable[..., Tail]


@contextmanager
def named(gateway: Gateway, folder: Path) -> Iterator[NameServer]:
    """Start the gateway before a back end that it finds by name."""
    folder.mkdir()
    address = own_address(2)
    with closing(NameServer(folder)) as names, closing(BackEnd(address=address, port=80, pings=True)):
        names.set_records({"loki.default-tenant.svc.cluster.local": address})
        gateway.start(variant=Variant(name_server=names.port))
        gateway.eventually((200, "ok"), signed(), path=LOKI_LABELS)
        yield names


def test_a_tail_goes_on_for_longer_than_a_minute_and_ends_soon_after_its_token_is_revoked(
    gateway: Gateway, follow: Follow, tmp_path: Path
) -> None:
    """Also after Envoy has forgotten the tenant's name, which no other request uses."""
    with named(gateway, tmp_path / "names"):
        tail = follow(signed(id=REVOKED))
        assert tail.status == 101
        assert tail.reads(MINUTE + 5) and tail.received.endswith(b"ping")
        gateway.set_keys(revoked=[REVOKED])
        # A regular end and no reset: logcli then begins again.
        assert not tail.reads(MINUTE)
        gateway.eventually((401, f"{BAD}: revoked"), signed(id=REVOKED))
        assert follow(signed(id=REVOKED)).status == 401


def test_a_tail_of_a_tenant_that_is_gone_is_refused(gateway: Gateway, follow: Follow, tmp_path: Path) -> None:
    with named(gateway, tmp_path / "names"):
        tail = follow(signed(tenant="nosuch"), tenant="nosuch")
        assert tail.status == 404 and tail.received.endswith(b"no such tenant")


LISTS: dict[str, Callable[[Gateway], None]] = {
    "its key is removed": lambda gateway: gateway.set_keys({}),
    "its key may not speak for the tenant": lambda gateway: gateway.set_keys(key=KeyLimits(tenants=("other",))),
    "its key loses the scope": lambda gateway: gateway.set_keys(key=KeyLimits(scopes=("metrics:read",))),
    "its key has expired": lambda gateway: gateway.set_keys(key=KeyLimits(not_after=1)),
    "another token is revoked": lambda gateway: gateway.set_keys(revoked=["another"]),
    "its address is outside": lambda gateway: gateway.limit(GatewayLimits(addresses={"default": ("192.0.2.0/24",)})),
}


@pytest.mark.parametrize("change", LISTS.values(), ids=LISTS)
def test_a_tail_ends_soon_after_a_list_changes_that_decides_who_may_follow(
    gateway: Gateway, follow: Follow, change: Callable[[Gateway], None]
) -> None:
    gateway.start()
    tail = follow(signed())
    assert tail.status == 101 and tail.reads(1)
    change(gateway)
    assert not tail.reads(MINUTE)


def test_a_tail_goes_on_while_other_lists_change(gateway: Gateway, follow: Follow) -> None:
    gateway.start()
    tail = follow(signed())
    gateway.limit(GatewayLimits(TenantRates(requests=Rate(1000, 1000))))
    gateway.set_keys()  # as before
    assert tail.reads(DRAIN_SECONDS + 3) and tail.status == 101


def test_a_tail_ends_with_its_token(gateway: Gateway, follow: Follow) -> None:
    gateway.start()
    short, long = follow(signed(seconds=4)), follow(signed(seconds=315_576_000))
    assert (short.status, long.status) == (101, 101)
    assert not short.reads(MINUTE)
    assert long.reads(1)


def test_a_tail_ends_with_its_key(gateway: Gateway, follow: Follow) -> None:
    gateway.set_keys(BOTH, other=KeyLimits(not_after=int(time.time()) + 8))
    gateway.start()
    tail = follow(Signer(OTHER_KEY).token(Grant(instance="showdown", tenant="default")))
    assert tail.status == 101
    assert not tail.reads(MINUTE)


def test_a_tail_that_older_lists_let_in_is_refused(gateway: Gateway, follow: Follow) -> None:
    """Envoy loads the two files one after the other. Otherwise such a tail would go on for as long as its token."""
    gateway.start()
    files = gateway.folder / TAILS.part
    now = (files / TAILS.file).read_text()
    gateway.set_keys(revoked=[REVOKED])
    later = (files / TAILS.file).read_text()
    gateway.set_keys()
    eventually(lambda: follow(signed()).status == 101, 15)
    gateway.put(TAILS, later)
    answers = {101: b"", 503: CHANGED.encode()}

    def is_refused() -> bool:
        tail = follow(signed())
        assert tail.received.endswith(answers[tail.status])
        return tail.status == 503

    eventually(is_refused, 15)
    gateway.put(TAILS, now)
    eventually(lambda: follow(signed()).status == 101, 15)


OWN_ADDRESS, OTHER_ADDRESS = (GatewayLimits(addresses={"default": (cidr,)}) for cidr in ("127.0.0.0/8", "192.0.2.0/24"))


@pytest.mark.parametrize("before", [GatewayLimits(), OWN_ADDRESS], ids=["no ranges", "ranges"])
def test_a_tail_that_older_addresses_let_in_is_refused(gateway: Gateway, follow: Follow, before: GatewayLimits) -> None:
    """The addresses are in another ConfigMap, which can arrive a minute after the tails' listener."""
    file = gateway.folder / TAILS.part / TAILS.file
    gateway.limit(before)
    gateway.start()
    assert follow(signed()).status == 101
    now = file.read_text()
    gateway.limit(OTHER_ADDRESS)
    eventually(lambda: follow(signed()).status == 403, 15)
    other = file.read_text()
    gateway.limit(before)
    eventually(lambda: follow(signed()).status == 101, 15)
    gateway.put(TAILS, other)
    eventually(lambda: follow(signed()).status == 503, 15)
    gateway.put(TAILS, now)
    eventually(lambda: follow(signed()).status == 101, 15)


@pytest.mark.parametrize(("old", "new"), [('{"resources"', "{"), ('"type.googleapis.com/', '"type.googleapis.com/x')])
def test_a_revocation_is_not_in_force_while_envoy_refuses_the_listener_of_tails(
    gateway: Gateway, follow: Follow, old: str, new: str
) -> None:
    gateway.start()
    gateway.await_state(PodState([KID], current=True, refused=False))
    tail = follow(signed(id=REVOKED))
    assert tail.status == 101
    gateway.change_tails = lambda text: text.replace(old, new)
    gateway.set_keys(revoked=[REVOKED])
    gateway.eventually((401, f"{BAD}: revoked"), signed(id=REVOKED))
    refused = PodState([KID], current=False, refused=True, tails_refused=True)
    gateway.await_state(refused)
    assert tail.reads(DRAIN_SECONDS + 3) and gateway.state() == refused
    assert "REFUSED the listener of log tails" in gateway.state().in_words()
    gateway.change_tails = str
    gateway.set_keys(revoked=[REVOKED])
    gateway.await_state(PodState([KID], current=True, refused=False))
    assert not tail.reads(MINUTE)


OWN_HEADERS = ("x-opstrace-version: 0", "X-Opstrace-Version: ", "grpc-timeout: 1S", "grpc-timeout: 99999999H")


def test_a_client_s_own_headers_change_nothing(gateway: Gateway, follow: Follow) -> None:
    gateway.start()
    long = [follow(signed(), header) for header in OWN_HEADERS]
    short = [follow(signed(seconds=4), header) for header in OWN_HEADERS]
    assert {tail.status for tail in (*long, *short)} == {101}
    assert not any(tail.reads(MINUTE) for tail in short)
    assert all(tail.reads(0.2) for tail in long)
    for headers in gateway.back_end.websockets:
        assert headers["x-scope-orgid"] == "default"
        assert {"authorization", "grpc-timeout", "x-opstrace-version"} & {*headers} == set()


@pytest.mark.parametrize("headers", [(), ("Content-Length: 1",)], ids=["no length", "a length"])
def test_a_client_sends_no_more_bytes_on_a_tail_than_in_a_request(
    gateway: Gateway, follow: Follow, headers: tuple[str, ...]
) -> None:
    gateway.back_end.pings, gateway.back_end.reads = False, True
    most = 2**18
    gateway.start(variant=Variant(most_bytes=most))
    tail = follow(signed(), *headers)
    assert tail.status == 101
    tail.connection.sendall(b"x" * 8 * most)
    eventually(lambda: gateway.back_end.received >= most, 10)
    assert tail.reads(1) and gateway.back_end.received == most + 1


def test_without_authentication_a_tail_goes_on(gateway: Gateway, follow: Follow) -> None:
    gateway.start(replace(SETTINGS, authentication=False))
    tail = follow(None)
    assert tail.status == 101 and tail.reads(3)


def test_a_pod_has_a_limit_of_tails(gateway: Gateway, follow: Follow) -> None:
    gateway.start(variant=Variant(most_tails=2))
    tails = [follow(signed()) for _ in range(4)]
    assert sorted(tail.status for tail in tails) == [101, 101, 503, 503]
    tails[0].close()


def test_a_tail_may_take_longer_than_a_request_to_arrive(gateway: Gateway, follow: Follow) -> None:
    gateway.back_end.pings = False
    gateway.start(request_timeout="1s")
    tail = follow(signed())
    tail.reads(LATER_SECONDS + 5)
    assert tail.status == 101 and tail.received.endswith(b"later")


@pytest.mark.parametrize("upgrade", ["", "h2c", "tls"])
def test_a_request_for_a_tail_that_is_no_websocket_is_a_plain_request(gateway: Gateway, upgrade: str) -> None:
    gateway.set_keys()
    gateway.start()
    headers: dict[str, Any] = {"Upgrade": upgrade} if upgrade else {}
    assert gateway.ask(signed(), TAIL, **headers)[0] in (200, 403)
    assert gateway.back_end.websockets == []


def test_a_real_loki_s_lines_are_followed_until_the_token_is_revoked(
    gateway: Gateway, backend: Callable[..., Backend], follow: Follow
) -> None:
    running = backend("loki", {})
    running.start()
    gateway.back_end.port = running.port
    gateway.start()
    tail, other = follow(signed(id=REVOKED)), signed()
    assert tail.status == 101
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": "a line that is followed"}}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "billing"}}]}
    sent = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    host: dict[str, Any] = {"Host": "loki.default.showdown.example.com", "Content-Type": "application/json"}
    assert gateway.ask(other, "/otlp/v1/logs", "POST", body=json.dumps(sent).encode(), **host)[0] == 204
    eventually(lambda: tail.reads(0.5) and b"a line that is followed" in tail.received, 30)
    gateway.set_keys(KEYS, [REVOKED])
    assert not tail.reads(MINUTE)
