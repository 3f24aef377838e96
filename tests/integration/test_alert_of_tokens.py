"""A client uses a token that ends soon, and the platform's alert fires: the real gateway and Cortex of a system tenant."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.config.tenant import TenantSettings
from components.core.units import DAY
from tests.support.gateway import Gateway, Variant, signed
from tests.support.platform_rules import SystemCortex
from tests.support.s3_server import SYSTEM_BUCKET, empty

PUSHED = 'count({job="gateway",__name__="envoy_http_downstream_rq_xx_total"})'


@pytest.fixture
def cortex(s3: tuple[str, Any], tmp_path: Path) -> Iterator[SystemCortex]:
    server = SystemCortex("cortex", tmp_path, s3[0], TenantSettings())
    server.start()
    yield server
    server.kill()
    empty(s3[1], SYSTEM_BUCKET)


@pytest.mark.fires("TokenExpires")
def test_an_alert_fires_when_a_client_uses_a_token_that_ends_soon(
    gateway: Gateway, cortex: SystemCortex, expected: set[str]
) -> None:
    gateway.set_keys()
    gateway.start(variant=Variant(system_tenant=cortex.port))

    def firing() -> set[str]:
        return {name for name, _ in cortex.firing("job")}

    assert gateway.ask(signed())[0] == 200
    cortex.until(lambda: '"value"' in cortex.ask("GET", "/prometheus/api/v1/query", fields={"query": PUSHED})[1])
    assert not firing() & expected
    ends_soon = signed(seconds=365 * DAY, issued=int(time.time()) - 360 * DAY)
    assert gateway.ask(ends_soon)[0] == 200
    cortex.until(lambda: firing() >= expected)
