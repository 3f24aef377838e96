"""Remote write 2.0 through the real Envoy to the real Cortex."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

from tests.support.backend import Backend
from tests.support.gateway import BAD, PUSH, Gateway, signed
from tests.support.polling import eventually
from tests.support.remote_write import COUNTER, HEADERS, HEADERS_2, request, request_2, series_2

HOST = {"Host": "cortex.default.showdown.example.com"}
SYMBOLS = ("", "__name__", "orders_total", "by", "second", "first", "trace_id", "abc", "Orders taken.", "orders")
SECOND, FIRST = ((1, 2, 3, 4), (1, 2, 3, 5))
METADATA = (COUNTER, 8, 9)
WRITTEN = "X-Prometheus-Remote-Write-{}-Written"


@pytest.fixture
def opened(gateway: Gateway, backend: Callable[[str, dict[str, Any]], Backend]) -> Gateway:
    """Return a running gateway before a running Cortex."""
    cortex = backend("cortex", {})
    cortex.start()
    gateway.back_end.port = cortex.port
    gateway.set_keys()
    return gateway.start()


def pushed(
    gateway: Gateway, body: bytes, headers: dict[str, str], scope: str = "metrics:write"
) -> urllib3.BaseHTTPResponse:
    pool = gateway.http.connection_from_host("127.0.0.1", gateway.port)
    headers = HOST | headers | {"Authorization": f"Bearer {signed(scopes=(scope,))}"}
    return pool.urlopen("POST", PUSH, body, headers, assert_same_host=False)


def written(answer: urllib3.BaseHTTPResponse) -> list[str | None]:
    return [answer.headers.get(WRITTEN.format(kind)) for kind in ("Samples", "Histograms", "Exemplars")]


def asked(gateway: Gateway, path: str) -> Any:
    status, text = gateway.ask(signed(scopes=("metrics:read",)), path)
    assert status == 200, text
    return json.loads(text)["data"]


def test_both_versions_of_remote_write_are_taken_and_2_0_says_what_was_written(opened: Gateway) -> None:
    now = time.time()
    samples = [(now - 10, 6.0), (now, 7.0)]
    both = [
        series_2(SECOND, samples, [((6, 7), now, 1.0)], METADATA),
        series_2(FIRST, samples[1:], metadata=METADATA),
    ]
    body = request_2(SYMBOLS, *both)
    refused = pushed(opened, body, HEADERS_2, "metrics:read")
    assert (refused.status, refused.data.decode()) == (401, f"{BAD}: scope does not cover metrics:write")
    answer = pushed(opened, body, HEADERS_2)
    assert (answer.status, written(answer)) == (204, ["3", "0", "1"]), answer.data
    old = request(({"__name__": "orders_total", "by": "version 1"}, samples))
    answer = pushed(opened, old, HEADERS)
    assert (answer.status, written(answer)) == (200, [None] * 3), answer.data

    def found() -> dict[str, str]:
        series = asked(opened, f"/api/v1/query?query={quote('orders_total')}")["result"]
        return {one["metric"]["by"]: one["value"][1] for one in series}

    eventually(lambda: found() == {"first": "7", "second": "7", "version 1": "7"})
    eventually(lambda: "orders_total" in asked(opened, "/api/v1/metadata"))
    about = asked(opened, "/api/v1/metadata")["orders_total"]
    assert about == [{"type": "counter", "help": "Orders taken.", "unit": "orders"}]
    assert_unreadable_requests_are_refused(opened, samples)
    answer = pushed(opened, request_2(SYMBOLS, series_2((1, 2, 3, 4, 3, 5), [(time.time(), 1.0)])), HEADERS_2)
    assert (answer.status, written(answer)) == (400, ["0", "0", "0"]) and b"duplicate label" in answer.data, answer.data
    assert pushed(opened, request_2(SYMBOLS, series_2(FIRST, [(time.time(), 8.0)])), HEADERS_2).status == 204


def assert_unreadable_requests_are_refused(gateway: Gateway, samples: list[tuple[float, float]]) -> None:
    for symbols, series, reason in (
        (SYMBOLS, series_2((1, 2, 3, 99), samples), "outside of symbols table"),
        (SYMBOLS, series_2(FIRST, samples, [((6, 99), samples[0][0], 1.0)]), "outside of symbols table"),
        (SYMBOLS, series_2(FIRST, samples, metadata=(COUNTER, 99, 0)), "invalid HelpRef 99"),
        (SYMBOLS, series_2(FIRST, samples, metadata=(COUNTER, 0, 99)), "invalid UnitRef 99"),
        (SYMBOLS, series_2(FIRST), "must contain at least one sample"),
        ((), series_2(FIRST, samples), "outside of symbols table"),
    ):
        answer = pushed(gateway, request_2(symbols, series), HEADERS_2)
        assert answer.status == 400 and reason in answer.data.decode(), (reason, answer.status, answer.data)
    unknown = HEADERS_2 | {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}
    assert pushed(gateway, request_2(SYMBOLS, series_2(FIRST, samples)), unknown).status == 415
