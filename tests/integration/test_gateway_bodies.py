"""Bodies without a declared length, by the real Envoy: streamed, or buffered where a tenant's bytes are counted."""

from collections.abc import Mapping
from contextlib import suppress

import pytest
import urllib3

from components.core.names import TAIL
from components.gateway.limits import MOST_UNDECLARED_BYTES, GatewayLimits, Rate, TenantRates
from components.gateway.listeners import UNDECLARED
from components.gateway.routes import ALERTS
from scripts.clients.gateway.state import PodState
from tests.support.gateway import KID, LABELS, PUSH, RULES, Gateway, Variant, signed

OK = (200, "ok")
PIECE = 1000
NONE: Mapping[str, str] = {}
WIDE = TenantRates(bytes=Rate(10**9, 10**9))


@pytest.fixture
def limited(gateway: Gateway) -> Gateway:
    gateway.set_keys()
    return gateway


def in_pieces(
    gateway: Gateway, size: int, path: str = PUSH, tenant: str = "alpha", headers: Mapping[str, str] = NONE
) -> tuple[int, str]:
    """Push a body without a declared length, and return the answer."""
    piece = max(PIECE, size // 100)
    pieces = (b"x" * min(piece, size - sent) for sent in range(0, size, piece))
    return gateway.ask(signed(tenant=tenant), path, "POST", tenant=tenant, body=pieces, **headers)


@pytest.mark.parametrize("path", [PUSH, TAIL])
def test_a_chunked_body_is_counted_by_its_size_with_any_header(limited: Gateway, path: str) -> None:
    limited.limit(GatewayLimits(TenantRates(bytes=Rate(1, 10 * PIECE))))
    limited.start()
    found = [
        in_pieces(limited, 3 * PIECE, path, headers={"X-Opstrace-Bytes": "1", "Upgrade": "websocket"})[0]
        for _ in range(4)
    ]
    assert found == [200, 200, 200, 429]


def test_a_body_in_pieces_is_bounded_and_never_arrives_in_part(limited: Gateway) -> None:
    limited.limit(GatewayLimits(WIDE))
    limited.start()
    assert in_pieces(limited, MOST_UNDECLARED_BYTES)[0] == 200
    limited.back_end.requests.clear()
    assert "Content-Length" in UNDECLARED and "bytesPerSecond" in UNDECLARED
    try:
        assert in_pieces(limited, MOST_UNDECLARED_BYTES + 1) == (413, UNDECLARED)
    except urllib3.exceptions.ProtocolError:
        pass  # the connection was closed during the body
    assert limited.back_end.requests == []


LARGE = 80 * 2**10  # a body without a length that compressing clients send


@pytest.mark.parametrize("path", [PUSH, "/loki/api/v1/push", LABELS])
def test_a_body_in_pieces_of_a_tenant_without_a_limit_of_bytes_may_have_the_size_of_any_other(
    limited: Gateway, path: str
) -> None:
    limited.limit(GatewayLimits(TenantRates(requests=Rate(1000, 1000), connections=Rate(1000, 1000))))
    limited.start()
    for size in (1, LARGE, 3 * 2**20):
        assert in_pieces(limited, size, path) == OK
        assert limited.back_end.sizes[-1] == size


@pytest.mark.parametrize("path", [PUSH, "/loki/api/v1/push", LABELS, RULES[1], "/loki/api/v1/rules/space", ALERTS])
@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_a_body_in_pieces_is_cut_beyond_the_size_that_any_body_may_have(
    limited: Gateway, path: str, status: int
) -> None:
    """The back end gets one byte too many, which is NUL: it refuses what it would otherwise read in part."""
    most = 2**20
    limited.start(variant=Variant(most_bytes=most))
    limited.back_end.sizes.clear()
    assert in_pieces(limited, most, path) == OK
    assert limited.back_end.last_byte == b"x"
    limited.back_end.status, limited.back_end.body = status, b"what the back end says"
    for more in (1, 100, 3 * most):
        assert in_pieces(limited, most + more, path) == (
            413,
            f"a request may have {most} bytes: what the back end says",
        )
        assert limited.back_end.last_byte == b"\0"
    assert limited.back_end.sizes == [most] + [most + 1] * 3


@pytest.mark.parametrize("is_general", [True, False])
def test_which_bodies_are_counted_follows_each_tenant_s_own_limit(limited: Gateway, is_general: bool) -> None:
    bounded, free = WIDE, TenantRates(requests=Rate(1000, 1000))
    general, others = (bounded, free) if is_general else (free, bounded)
    limited.limit(GatewayLimits(general, dict.fromkeys(("beta", "gamma"), others)))
    limited.start()
    statuses = {}
    for tenant in ("alpha", "beta", "gamma", "betax"):
        with suppress(urllib3.exceptions.ProtocolError):  # the connection is closed during the body
            statuses[tenant] = in_pieces(limited, LARGE, tenant=tenant)[0]
    refused = {"alpha", "betax"} if is_general else {"beta", "gamma"}
    assert {tenant for tenant, status in statuses.items() if status == 200} == {*statuses} - refused
    assert {statuses.get(tenant, 413) for tenant in refused} == {413}
    limited.limit(GatewayLimits())
    limited.await_state(PodState([KID], current=True, refused=False))
    assert [in_pieces(limited, LARGE, tenant=tenant)[0] for tenant in sorted(refused)] == [200] * 2
