"""What the gateway remembers of its tenants' names and for how long, by the real Envoy and a real name server."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from components.gateway_lua import HOST_TTL_SECONDS, TURN_SECONDS
from tests.engine.gateway import BackEnd, Gateway, signed
from tests.engine.names import Names
from tests.ports import own_address

NAME = "cortex.default-tenant.svc.cluster.local"
PORT = 80  # of the tenants' Services


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Names]:
    folder = tmp_path / "names"
    folder.mkdir()
    with closing(Names(folder)) as made:
        yield made


@pytest.fixture
def address() -> str:
    return own_address(2)


@contextmanager
def black_hole(address: str) -> Iterator[None]:
    """Let packets to a server vanish, as those to a Service that is gone do on many nodes: its queue is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((address, PORT), backlog=0))
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        time.sleep(0.1)
        with socket.socket() as asking, pytest.raises(TimeoutError):
            asking.settimeout(1)
            asking.connect(server.getsockname())
        yield


def test_a_request_that_takes_longer_than_its_tenant_s_name_is_remembered_is_answered(
    gateway: Gateway, names: Names, address: str
) -> None:
    names.know({NAME: address})
    gateway.give()
    with closing(BackEnd(address=address, port=PORT)) as back_end:
        gateway.start(name_server=names.port)
        gateway.eventually((200, "ok"), signed())
        back_end.seconds = HOST_TTL_SECONDS + 10
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(gateway.ask, signed())
            time.sleep(1)
            names.know({})
            assert slow.result() == (200, "ok")
        assert gateway.ask(signed()) == (404, "no such tenant")  # it is forgotten by now


def test_a_deleted_tenant_is_unknown_from_the_next_turn_on_though_its_client_goes_on_and_its_packets_vanish(
    gateway: Gateway, names: Names, address: str
) -> None:
    names.know({NAME: address})
    gateway.give()
    gateway.start(name_server=names.port)
    with black_hole(address), ThreadPoolExecutor(1) as pool:
        time.sleep(_seconds_of_turn(but=3))
        late = pool.submit(gateway.ask, signed())  # whose tries go on in the next turn
        time.sleep(2)
        assert not late.done()
        names.know({})
        assert late.result()[0] == 503
        assert gateway.ask(signed()) == (404, "no such tenant")
        time.sleep(_seconds_of_turn() + 0.1)
        assert gateway.ask(signed()) == (404, "no such tenant")


def _seconds_of_turn(but: float = 0) -> float:
    """Return how long to wait until the end of a turn, or some seconds before."""
    return (-but - time.time()) % TURN_SECONDS
