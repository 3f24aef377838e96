"""Ports and addresses of loopback for the tests' servers."""

import os
import random
import socket
from functools import cache
from pathlib import Path

FROM_KERNEL = "/proc/sys/net/ipv4/ip_local_port_range"
TRIED = 1000
_returned: set[int] = set()


def own_address(number: int) -> str:
    """Return a loopback address that only this test process uses; `number` is 1 to 254."""
    return f"127.{os.getpid() % 199 + 1}.{os.getpid() // 199 % 250 + 1}.{number}"


@cache
def _candidates() -> list[int]:
    """Return ports outside the kernel's range for outgoing connections, which other processes may get at any time.

    If the kernel's range has all ports, return all.
    """
    first, last = map(int, Path(FROM_KERNEL).read_text().split())
    ports = range(10_000, 65_536)
    return [port for port in ports if not first <= port <= last] or [*ports]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that no process listens on, and that this function has not returned before."""
    candidates = random.SystemRandom().sample(_candidates(), TRIED)
    port = next(port for port in candidates if port not in _returned and _is_free(port))
    _returned.add(port)
    return port


def free_ports(count: int) -> list[int]:
    """Return free ports, all different."""
    return [free_port() for _ in range(count)]
