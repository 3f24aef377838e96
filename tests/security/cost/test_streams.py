"""The cost of bodies without a declared length that no byte limit holds: the gateway forwards them as they come."""

from typing import Any

import pytest

from components.gateway.settings import MOST_CONNECTIONS, MOST_TAILS
from tests.security.cost.backend import UNREAD
from tests.security.cost.cgroup import MIB
from tests.security.cost.plans import hold
from tests.security.cost.pod import EVIL, Pod
from tests.security.cost.requests import chunk, streamed_body, tail
from tests.security.cost.test_connections import SMALLEST_BUFFER, nightly
from tests.security.cost.test_worst import SPARE
from tests.support.gateway import signed

SECONDS = 3.0
PIECE_BYTES = 65_536
SLOW, FAST, UNREAD_COUNT, TAILS = 800, 20, 500, 180
PER_SECOND = 300  # new connections: opening a tail takes 1.6 ms of CPU time
MOST = MOST_CONNECTIONS - SPARE


def streams(slow: int, fast: int, unread: int, tails: int) -> list[dict[str, Any]]:
    """Return an attack by clients that stream bodies and that follow logs.

    Bodies are streamed slowly, fast, and to a back end that does not read. The log tails are not read.
    """
    token = signed(tenant=EVIL)
    opening = (slow + fast + unread + tails) / PER_SECOND  # seconds
    read, not_read = streamed_body(token), streamed_body(token, f"?{UNREAD.decode()}")
    parts = [
        (slow, hold([read], slow, slow / opening, SECONDS, piece=chunk(16), pause=1.0)),
        (fast, hold([read], fast, fast / opening, SECONDS, piece=chunk(PIECE_BYTES), pause=0.1)),
        (unread, hold([not_read], unread, unread / opening, SECONDS, piece=chunk(PIECE_BYTES), pause=0.0)),
        (tails, hold([tail(token)], tails, tails / opening, SECONDS, receive_buffer=SMALLEST_BUFFER)),
    ]
    return [part for count, part in parts if count]


@pytest.mark.parametrize(
    ("slow", "fast", "unread", "tails"),
    [
        (SLOW, FAST, UNREAD_COUNT, TAILS),
        nightly(MOST, 0, 0, 0),
        nightly(0, 0, MOST, 0),
        nightly(MOST - MOST_TAILS, 0, 0, MOST_TAILS),
    ],
)
def test_streamed_bodies_without_a_byte_limit(pod: Pod, slow: int, fast: int, unread: int, tails: int) -> None:
    pod.start()
    with pod.trial(f"streamed, {slow} {fast} {unread} {tails}") as figures:
        seen = pod.attack(*streams(slow, fast, unread, tails))
    print(f"  {[(one['states'], one['bytes'] // MIB) for one in seen]}")
    assert sum(one["opened"] for one in seen) == slow + fast + unread + tails
    figures.assert_held()
