"""A client uses a token that ends soon, and the platform's alert fires: the real gateway and Cortex of a system tenant."""

import time

import pytest

from components.core.units import DAY
from tests.support.gateway import Gateway, Variant, signed
from tests.support.platform_rules import SystemCortex

PUSHED = 'envoy_http_downstream_rq_xx_total{job="gateway"}'


@pytest.mark.fires("TokenExpires")
def test_an_alert_fires_when_a_client_uses_a_token_that_ends_soon(
    gateway: Gateway, system_cortex: SystemCortex, expected: set[str]
) -> None:
    gateway.set_keys()
    gateway.start(variant=Variant(system_tenant=system_cortex.port))

    def firing() -> set[str]:
        return {name for name, _ in system_cortex.firing("job")}

    assert gateway.ask(signed())[0] == 200
    system_cortex.until(lambda: system_cortex.returns(PUSHED))
    assert not firing() & expected
    ends_soon = signed(seconds=365 * DAY, issued=int(time.time()) - 360 * DAY)
    assert gateway.ask(ends_soon)[0] == 200
    system_cortex.until(lambda: firing() >= expected)
