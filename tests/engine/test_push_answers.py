"""Answers to pushes, by the real Envoy: the back end's are changed so that clients try again, and no others."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from components.gateway_limits import GatewayLimits, Rate, TenantRates
from components.gateway_lua import MOST_ERROR_BYTES
from tests.engine.gateway import LABELS, LOKI_PUSH, PUSH, SETTINGS, BackEnd, Gateway, signed
from tests.ports import free_port

LEGACY = replace(SETTINGS, legacy_push_errors=True)
AS_IS = {200: (200, "said"), 204: (204, ""), 400: (400, "said"), 500: (500, "said"), 503: (503, "said")}
FOR_RETRY = AS_IS | {429: (503, "429-to-503: said")}
AS_THE_ORIGINAL = {
    **AS_IS,
    429: (503, "429-to-503: said"),
    500: (409, "500-to-409: said"),
    503: (409, "500-to-409: said"),
}


def answered(gateway: Gateway, status: int, path: str, method: str) -> tuple[int, str]:
    gateway.back_end.status, gateway.back_end.body = status, b"" if status == 204 else b"said"
    return gateway.ask(signed(), path, method)


@pytest.mark.parametrize("path", [PUSH, LOKI_PUSH])
@pytest.mark.parametrize(("settings", "wanted"), [(SETTINGS, FOR_RETRY), (LEGACY, AS_THE_ORIGINAL)])
def test_a_push_that_the_back_end_failed_is_tried_again(gateway: Gateway, settings, wanted, path: str) -> None:
    gateway.give()
    gateway.start(settings)
    assert {status: answered(gateway, status, path, "POST") for status in wanted} == wanted


def test_what_is_read_is_answered_as_the_back_end_does(gateway: Gateway) -> None:
    gateway.give()
    gateway.start(LEGACY)
    wanted = AS_IS | {429: (429, "said")}
    assert {status: answered(gateway, status, LABELS, "GET") for status in wanted} == wanted


def test_a_back_end_that_has_just_begun_is_waited_for_by_every_request_that_came_too_early(gateway: Gateway) -> None:
    """As after an update, where the nodes do not yet know of a new pod."""
    gateway.back_end.port = free_port()
    gateway.give()
    gateway.start()
    with ThreadPoolExecutor(6) as pool:  # Envoy's default are three retries at once
        asked = [pool.submit(gateway.ask, signed(), PUSH, "POST") for _ in range(6)]
        time.sleep(0.3)
        with closing(BackEnd(port=gateway.back_end.port)):
            assert [one.result() for one in asked] == [(200, "ok")] * 6


@pytest.mark.parametrize("settings", [SETTINGS, LEGACY])
def test_more_than_is_kept_to_be_sent_again_is_503_too(gateway: Gateway, settings) -> None:
    gateway.back_end.port = free_port()
    gateway.give()
    gateway.start(settings)

    def body() -> Iterator[bytes]:
        yield b"x" * 20_000
        time.sleep(0.5)  # by now it waits for the next try
        yield b"x" * 80_000

    answer = gateway.ask(signed(), PUSH, "POST", body=body(), **{"Content-Length": "100000"})
    assert answer == (503, "no connection to the tenant's pods")


@pytest.mark.parametrize("settings", [SETTINGS, LEGACY])
def test_a_back_end_that_is_dead_is_503_whatever_is_set(gateway: Gateway, settings) -> None:
    gateway.back_end.port = free_port()  # where nobody listens
    gateway.give()
    gateway.start(settings)
    status, body = gateway.ask(signed(), PUSH, "POST")
    assert status == 503 and "to-" not in body


def test_the_gateway_s_own_answers_stay(gateway: Gateway) -> None:
    gateway.give()
    gateway.limit(GatewayLimits(TenantRates(Rate(1, 1))))
    gateway.start(LEGACY)
    answers = [gateway.ask(signed(), PUSH, "POST") for _ in range(4)]
    assert answers[-1] == (429, "too many requests or bytes of this tenant")
    assert gateway.ask(signed(tenant="other"), PUSH, "POST")[0] == 401


@pytest.mark.parametrize("size", [0, 100, MOST_ERROR_BYTES, MOST_ERROR_BYTES + 1, 5 * 2**20])
def test_a_body_of_any_size_leaves_the_status_right_and_the_gateway_alive(gateway: Gateway, size: int) -> None:
    gateway.give()
    gateway.start()
    gateway.back_end.status, gateway.back_end.body = 429, b"x" * size
    for _ in range(3):
        status, body = gateway.ask(signed(), PUSH, "POST")
        assert status == 503 and body.startswith("429-to-503: ") == (size <= MOST_ERROR_BYTES)
    gateway.back_end.status, gateway.back_end.body = 200, b"ok"
    assert gateway.ask(signed(), PUSH, "POST") == (200, "ok")
