"""Ports of loopback for servers of the tests."""

import socket


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for entry in sockets:
        entry.bind(("127.0.0.1", 0))
    ports = [int(entry.getsockname()[1]) for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


def free_port() -> int:
    """Return a port that nobody has."""
    return free_ports(1)[0]
