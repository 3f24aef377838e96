"""How long the gateway keeps its tenants' names, by the real Envoy and a real name server."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from components.gateway.lua_filters import HOST_TTL_SECONDS, TURN_SECONDS
from tests.support.gateway import BAD, Gateway, Variant, signed
from tests.support.name_server import LossyRelay, NameServer
from tests.support.ports import own_address
from tests.support.recording_server import BackEnd

NAME = "cortex.default-tenant.svc.cluster.local"
PORT = 80  # of the tenants' Services


@pytest.fixture
def names(tmp_path: Path) -> Iterator[NameServer]:
    folder = tmp_path / "names"
    folder.mkdir()
    with closing(NameServer(folder)) as server:
        yield server


@pytest.fixture
def address() -> str:
    return own_address(2)


@contextmanager
def black_hole(address: str) -> Iterator[None]:
    """Let packets to an address vanish, as for a deleted Service: the queue of its listener is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((address, PORT), backlog=0))
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        time.sleep(0.1)
        one_more = stack.enter_context(socket.socket())
        one_more.settimeout(1)
        with pytest.raises(TimeoutError):
            one_more.connect(server.getsockname())
        yield


def test_a_request_that_takes_longer_than_its_tenant_s_name_is_remembered_is_answered(
    gateway: Gateway, names: NameServer, address: str
) -> None:
    names.set_records({NAME: address})
    gateway.set_keys()
    with closing(BackEnd(address=address, port=PORT)) as back_end:
        gateway.start(variant=Variant(name_server=names.port))
        gateway.eventually((200, "ok"), signed())
        back_end.seconds = HOST_TTL_SECONDS + 10
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(gateway.ask, signed())
            time.sleep(1)
            names.set_records({})
            assert slow.result() == (200, "ok")
        assert gateway.ask(signed()) == (404, "no such tenant")  # the name has expired


def test_a_deleted_tenant_is_unknown_from_the_next_turn_on_though_its_client_goes_on_and_its_packets_vanish(
    gateway: Gateway, names: NameServer, address: str
) -> None:
    names.set_records({NAME: address})
    gateway.set_keys()
    gateway.start(variant=Variant(name_server=names.port))
    with black_hole(address), ThreadPoolExecutor(1) as pool:
        time.sleep(_seconds_of_turn(but=3))
        late = pool.submit(gateway.ask, signed())  # its retries go on in the next turn
        time.sleep(2)
        assert not late.done()
        names.set_records({})
        assert late.result()[0] == 503
        assert gateway.ask(signed()) == (404, "no such tenant")
        time.sleep(_seconds_of_turn() + 0.1)
        assert gateway.ask(signed()) == (404, "no such tenant")


def _seconds_of_turn(but: float = 0) -> float:
    """Return the seconds until the end of a turn, less some."""
    return (-but - time.time()) % TURN_SECONDS


@pytest.fixture
def relay(names: NameServer) -> Iterator[LossyRelay]:
    with closing(LossyRelay(names.port)) as relay:
        yield relay


@pytest.mark.parametrize("answered", [0, 5], ids=["the first", "a later one"])
def test_a_query_whose_packet_is_lost_is_sent_again(
    gateway: Gateway, names: NameServer, relay: LossyRelay, address: str, answered: int
) -> None:
    """UDP loses packets of a burst. With one try alone, the tenant would be unknown.

    After some answers, the resolver chooses the time to the next try by their delays.
    """
    names.set_records(
        {NAME: address} | {NAME.replace("default", f"other{number}"): address for number in range(answered)}
    )
    gateway.set_keys()
    with closing(BackEnd(address=address, port=PORT)):
        gateway.start(variant=Variant(name_server=relay.port))
        gateway.eventually((401, f"{BAD}: unexpected tenant: other"), signed(tenant="other"))
        for number in range(answered):
            tenant = f"other{number}"
            assert gateway.ask(signed(tenant=tenant), tenant=tenant) == (200, "ok")
        relay.lost = 1
        assert gateway.ask(signed()) == (200, "ok")
        assert relay.lost == 0


def test_no_search_domain_of_the_node_is_asked_for_a_tenant(
    gateway: Gateway, relay: LossyRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wildcard record of such a domain would get the requests to a tenant that was deleted."""
    monkeypatch.setenv("LOCALDOMAIN", "search.example")  # in place of the list in resolv.conf
    gateway.set_keys()
    gateway.start(variant=Variant(name_server=relay.port))
    gateway.eventually((404, "no such tenant"), signed())
    assert relay.queries and not any(b"search" in query for query in relay.queries)


CLOSED = ("/config", "/ready", "/api/v1/push/", "/otlp/v1/traces", "/alertmanager", "/loki/api/v1/pushx")


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("scopes", [None, ("logs:read",)])
def test_with_a_token_a_404_says_whether_the_path_or_the_tenant_is_missing(
    gateway: Gateway, names: NameServer, address: str, path: str, scopes: tuple[str, ...] | None
) -> None:
    names.set_records({NAME: address, NAME.replace("cortex", "loki"): address})
    gateway.set_keys()
    with closing(BackEnd(address=address, port=PORT)) as back_end:
        gateway.start(variant=Variant(name_server=names.port))
        gateway.eventually((200, "ok"), signed())
        back_end.requests.clear()
        for tenant, text in (("default", "this path is not open"), ("nosuch", "no such tenant")):
            token = signed(tenant=tenant, scopes=scopes)
            assert gateway.ask(token, path, tenant=tenant) == (404, text)
            assert gateway.ask(token, path, "POST", body=b"x", tenant=tenant) == (404, text)
            assert gateway.ask(token, path, Host="showdown.example.com") == (404, text)
        assert back_end.requests == []


@pytest.mark.parametrize("path", [*CLOSED, "/api/v1/push"])
def test_without_its_token_a_tenant_that_exists_is_like_one_that_does_not(
    gateway: Gateway, names: NameServer, address: str, path: str
) -> None:
    """Its name is not even looked up, so that neither text nor time differs."""
    names.set_records({NAME: address})
    gateway.set_keys()
    gateway.start(variant=Variant(name_server=names.port))
    other = signed(tenant="other")
    for token, text in ((None, "Authorization header missing or invalid"), (other, f"{BAD}: unexpected tenant: other")):
        answers = [gateway.ask(token, path, tenant=tenant) for tenant in ("default", "nosuch")]
        assert answers == [(401, text)] * 2
    reasons = {line["reason"] for line in gateway.access_log(4)[-4:]}
    assert reasons == {"lua_response"}
