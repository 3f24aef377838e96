"""The plans of attacks, as the attackers' process reads them."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.security.cost.cgroup import PodCgroup


def hold(payloads: list[bytes], count: int, rate: float, seconds: float, **more: Any) -> dict[str, Any]:
    """Return a part of an attack: `count` connections, opened at a rate, that stay for `seconds` after the last.

    Each sends one of the payloads. Of `more`, `delay` is the seconds before the first, and `receive_buffer` the
    size of the sockets' buffers, which are not read. After its payload each sends `piece` over and over, with a `pause`
    in seconds before each.
    """
    texts = [base64.b64encode(payload).decode() for payload in payloads]
    more |= {"piece": base64.b64encode(more["piece"]).decode()} if "piece" in more else {}
    return {"kind": "hold", "payloads": texts, "count": count, "rate": rate, "seconds": seconds, **more}


def flood(requests: Mapping[str, Any], seconds: float, clients: int = 16, **more: Any) -> dict[str, Any]:
    """Return a part of an attack: clients that send requests without a pause."""
    return {"kind": "flood", "requests": dict(requests), "seconds": seconds, "clients": clients, **more}


def costs(kinds: Mapping[str, bytes], group: PodCgroup, clients: int = 4, **more: Any) -> dict[str, Any]:
    """Return a part of an attack: requests of each kind in turns, whose CPU cost is measured."""
    texts = {name: base64.b64encode(one).decode() for name, one in kinds.items()}
    return {"kind": "costs", "kinds": texts, "cpu_file": str(group.cpu_file), "clients": clients, **more}
