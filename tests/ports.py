"""Ports and addresses of loopback for servers of the tests."""

import os
import random
import socket
from functools import cache
from pathlib import Path

FROM_KERNEL = "/proc/sys/net/ipv4/ip_local_port_range"
TRIED = 1000
_given: set[int] = set()


def own_address(number: int) -> str:
    """Return an address of loopback that no other process of the tests has, of a few that this one may have."""
    return f"127.{os.getpid() % 199 + 1}.{os.getpid() // 199 % 250 + 1}.{number}"


@cache
def _candidates() -> list[int]:
    """Return ports that the kernel gives to nobody who asks for any: one of those is soon another process's.

    Where it gives out all of them, so may we.
    """
    first, last = map(int, Path(FROM_KERNEL).read_text().split())
    ports = range(10_000, 65_536)
    return [port for port in ports if not first <= port <= last] or [*ports]


def _is_free(port: int) -> bool:
    with socket.socket() as asking:
        try:
            asking.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nobody has, and that this process has given to nobody."""
    candidates = random.SystemRandom().sample(_candidates(), TRIED)
    port = next(port for port in candidates if port not in _given and _is_free(port))
    _given.add(port)
    return port


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has, all different."""
    return [free_port() for _ in range(count)]
