"""Answers to pushes, by the real Envoy: failures of the back end get a status that clients retry."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from components.gateway.limits import GatewayLimits, Rate, TenantRates
from components.gateway.lua_filters import MOST_ERROR_BYTES
from components.gateway.settings import GatewaySettings
from tests.support.gateway import LABELS, LOKI_PUSH, PUSH, SETTINGS, Gateway, signed
from tests.support.ports import free_port
from tests.support.recording_server import BackEnd

LEGACY = replace(SETTINGS, legacy_push_errors=True)
Answers = dict[int, tuple[int, str]]  # of the gateway, by the status of the back end's
AS_IS: Answers = {
    **{
        status: (status, "said") for status in (200, 400, 415, 500, 503)
    },  # 415: a client may go back to remote write 1.0
    204: (204, ""),
}
FOR_RETRY = AS_IS | {429: (503, "429-to-503: said")}
AS_THE_ORIGINAL = {
    **AS_IS,
    429: (503, "429-to-503: said"),
    500: (409, "500-to-409: said"),
    503: (409, "500-to-409: said"),
}
OTLP = {"cortex": "/api/v1/otlp/v1/metrics", "loki": "/otlp/v1/logs"}
FOR_OTLP = AS_IS | {429: (429, "said"), 500: (503, "500-to-503: said")}


def answered(gateway: Gateway, status: int, path: str, method: str, **headers: Any) -> tuple[int, str]:
    gateway.back_end.status, gateway.back_end.body = status, b"" if status == 204 else b"said"
    return gateway.ask(signed(), path, method, **headers)


@pytest.mark.parametrize("path", [PUSH, LOKI_PUSH])
@pytest.mark.parametrize(("settings", "expected"), [(SETTINGS, FOR_RETRY), (LEGACY, AS_THE_ORIGINAL)])
def test_a_push_that_the_back_end_failed_is_tried_again(
    gateway: Gateway, settings: GatewaySettings, expected: Answers, path: str
) -> None:
    gateway.set_keys()
    gateway.start(settings)
    assert {status: answered(gateway, status, path, "POST") for status in expected} == expected


@pytest.mark.parametrize("settings", [SETTINGS, LEGACY])
def test_a_push_of_opentelemetry_is_tried_again_after_the_answers_that_its_protocol_names(
    gateway: Gateway, settings: GatewaySettings
) -> None:
    gateway.set_keys()
    gateway.start(settings)
    for api, path in OTLP.items():
        host = f"{api}.default.showdown.example.com"
        assert {status: answered(gateway, status, path, "POST", Host=host) for status in FOR_OTLP} == FOR_OTLP


def test_answers_to_queries_are_unchanged(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.start(LEGACY)
    expected = AS_IS | {429: (429, "said")}
    assert {status: answered(gateway, status, LABELS, "GET") for status in expected} == expected


def test_a_back_end_that_has_just_begun_is_waited_for_by_every_request_that_came_too_early(gateway: Gateway) -> None:
    """As after an update, before the nodes route to a new pod."""
    gateway.back_end.port = free_port()
    gateway.set_keys()
    gateway.start()
    with ThreadPoolExecutor(6) as pool:  # Envoy's default allows three concurrent retries
        requests = [pool.submit(gateway.ask, signed(), PUSH, "POST") for _ in range(6)]
        time.sleep(0.3)
        with closing(BackEnd(port=gateway.back_end.port)):
            assert [one.result() for one in requests] == [(200, "ok")] * 6


@pytest.mark.parametrize("settings", [SETTINGS, LEGACY])
def test_more_than_is_kept_to_be_sent_again_is_503_too(gateway: Gateway, settings: GatewaySettings) -> None:
    gateway.back_end.port = free_port()
    gateway.set_keys()
    gateway.start(settings)

    def body() -> Iterator[bytes]:
        yield b"x" * 20_000
        time.sleep(0.5)  # it waits for the next retry by now
        yield b"x" * 80_000

    answer = gateway.ask(signed(), PUSH, "POST", body=body(), **{"Content-Length": "100000"})
    assert answer == (503, "no connection to the tenant's pods")


@pytest.mark.parametrize("settings", [SETTINGS, LEGACY])
def test_an_unreachable_back_end_is_503_with_any_setting(gateway: Gateway, settings: GatewaySettings) -> None:
    gateway.back_end.port = free_port()  # no process listens there
    gateway.set_keys()
    gateway.start(settings)
    status, body = gateway.ask(signed(), PUSH, "POST")
    assert status == 503 and "to-" not in body


def test_the_gateway_s_own_answers_stay(gateway: Gateway) -> None:
    gateway.set_keys()
    gateway.limit(GatewayLimits(TenantRates(Rate(1, 1))))
    gateway.start(LEGACY)
    answers = [gateway.ask(signed(), PUSH, "POST") for _ in range(4)]
    assert answers[-1] == (429, "too many requests or bytes of this tenant")
    assert gateway.ask(signed(tenant="other"), PUSH, "POST")[0] == 401


@pytest.mark.parametrize("size", [0, 100, MOST_ERROR_BYTES, MOST_ERROR_BYTES + 1, 5 * 2**20])
def test_a_body_of_any_size_leaves_the_status_right_and_the_gateway_alive(gateway: Gateway, size: int) -> None:
    gateway.set_keys()
    gateway.start()
    gateway.back_end.status, gateway.back_end.body = 429, b"x" * size
    for _ in range(3):
        status, body = gateway.ask(signed(), PUSH, "POST")
        assert status == 503 and body.startswith("429-to-503: ") == (size <= MOST_ERROR_BYTES)
    gateway.back_end.status, gateway.back_end.body = 200, b"ok"
    assert gateway.ask(signed(), PUSH, "POST") == (200, "ok")
