"""The worst attacks together, against the memory budget of docs/reference/quotas.md."""

from typing import Any

import pytest

from components.gateway.limits import GatewayLimits, Rate, TenantRates
from components.gateway.settings import MOST_CONNECTIONS
from tests.security.cost.plans import flood, hold
from tests.security.cost.pod import EVIL, Pod
from tests.security.cost.requests import FROM, large_answer, unfinished_body, unfinished_headers
from tests.security.cost.test_connections import SMALLEST_BUFFER, nightly
from tests.security.cost.test_refusals import FILLING, FLOOD_SECONDS, of_tokens, signing_key
from tests.support.gateway import signed

SPARE = 100  # connections for the good client
PER_SECOND, SECONDS = 500, 3.0  # new connections, and the seconds for which all are open
REVOKED = 10_000
# No limits for the attacker: refused requests need less memory.
RATES = TenantRates(Rate(10**6, 10**6), Rate(10**9, 10**9), Rate(10**6, 10**6))


def at_once(token: str, counts: list[int]) -> list[dict[str, Any]]:
    """Return an attack by readers, bodies and headers that open one after the other and end together.

    Headers come last, since their timeout is the shortest.
    """
    payloads = [large_answer(token), unfinished_body(token), FROM + unfinished_headers()]
    opened = [sum(counts[: place + 1]) / PER_SECOND for place in range(len(counts))]
    return [
        hold(
            [payload],
            count,
            PER_SECOND,
            opened[-1] - until + SECONDS,
            delay=until - count / PER_SECOND,
            receive_buffer=SMALLEST_BUFFER,
        )
        for payload, count, until in zip(payloads, counts, opened, strict=True)
    ]


@pytest.mark.parametrize(
    ("readers", "bodies", "headers"),
    [(1 / 3, 1 / 3, 1 / 3), nightly(1, 0, 0), nightly(0, 1, 0), nightly(0, 0, 1)],
)
def test_the_worst_of_each_at_once(pod: Pod, readers: float, bodies: float, headers: float) -> None:
    exceptions = {f"tenant{number}": RATES for number in range(1000)}
    pod.start(GatewayLimits(RATES, exceptions), revoked=[f"revoked-token-{number:06}" for number in range(REVOKED)])
    requests = of_tokens("signed", key=signing_key(), copies=16)
    (kept,) = pod.attack(flood(requests, FLOOD_SECONDS, clients=8, count=FILLING))
    pod.end_attacks()
    counts = [int(share * (MOST_CONNECTIONS - SPARE)) for share in (readers, bodies, headers)]
    with pod.trial(f"the worst of each, {counts}") as figures:
        seen = pod.attack(*at_once(signed(tenant=EVIL), counts))
    print(f"  {kept['answers']} {[one['states'] for one in seen]}")
    assert kept["answers"] == {"200": FILLING}
    figures.assert_held()
