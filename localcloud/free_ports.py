"""Check that the ports of the embedded cloud are free on this machine."""

import contextlib
import errno
import socket

import psutil

from localcloud.errors import LocalCloudError
from localcloud.settings import HTTP_PORT, HTTPS_PORT, SLOTS, Settings

LOOPBACK = "127.0.0.1"


def require_free(settings: Settings) -> None:
    """Raise `LocalCloudError` where a port cannot be opened, with the process that uses it."""
    needed = [(LOOPBACK, settings.https_port, socket.SOCK_STREAM), (LOOPBACK, settings.dns_port, socket.SOCK_DGRAM)]
    if settings.user_cluster:  # else AWS uses the node's address, which no other process can use
        needed += [(settings.user_cluster.address, port, socket.SOCK_STREAM) for port in (HTTPS_PORT, HTTP_PORT)]
    for address, port, kind in needed:
        with socket.socket(socket.AF_INET, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, port))
            except OSError as error:
                raise LocalCloudError(_problem(address, port, error)) from error


def _problem(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--address {address} is no address of this machine; give one that the cluster's pods reach"
    if error.errno == errno.EACCES:
        return (
            f"only root can open port {port} of {address}, and Cortex needs this port for STS; run this as root, or allow "
            f"the port to all users: `sysctl -w net.ipv4.ip_unprivileged_port_start={port}`"
        )
    remedy = (
        f"set OPSTRACE_LOCAL_SLOT to another number from 0 to {SLOTS - 1}: each slot has its own ports"
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
