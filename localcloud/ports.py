"""The ports that the embedded cloud opens on this machine."""

import contextlib
import errno
import socket

import psutil

from localcloud.errors import LocalCloudError
from localcloud.settings import HTTP_PORT, HTTPS_PORT, Settings

LOOPBACK = "127.0.0.1"


def require_free(settings: Settings) -> None:
    """Raise `LocalCloudError` where a port cannot be opened, with the process that has it."""
    wanted = [(LOOPBACK, settings.https_port, socket.SOCK_STREAM), (LOOPBACK, settings.dns_port, socket.SOCK_DGRAM)]
    if settings.borrowed:  # else AWS has the node's address, which nobody else has
        wanted += [(settings.borrowed.address, port, socket.SOCK_STREAM) for port in (HTTPS_PORT, HTTP_PORT)]
    for address, port, kind in wanted:
        with socket.socket(socket.AF_INET, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, port))
            except OSError as error:
                raise LocalCloudError(_problem(address, port, error)) from error


def _problem(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this machine; --address must be one that the cluster's pods reach"
    if error.errno == errno.EACCES:
        return (
            f"port {port} of {address} may be opened by root alone, and Cortex asks STS at no other; run this as root, "
            f"or allow it to everybody: `sysctl -w net.ipv4.ip_unprivileged_port_start={port}`"
        )
    remedy = (
        "set OPSTRACE_LOCAL_SLOT to another number from 0 to 9, which moves all ports by as much"
        if address == LOOPBACK
        else "give another address of this machine that the cluster's pods reach (--address)"
    )
    return f"port {port} of {address} is in use by {_owner(port)}; stop it, or {remedy}"


def _owner(port: int) -> str:
    for connection in psutil.net_connections("inet"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            with contextlib.suppress(psutil.NoSuchProcess):
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another process"
