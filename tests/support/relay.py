"""A relay of TCP connections, with which a test interrupts the way between clients and a server."""

import socket
import struct
import threading
from contextlib import suppress

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset
PIECE = 65536
WAY = "127.0.0.2"  # an address of loopback for a relay


class Relay:
    """Passes connections to `address` and `port` on to `port` of loopback.

    While it is cut off, it resets open connections and new ones.
    """

    def __init__(self, address: str, port: int) -> None:
        self._port, self._cut = port, threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((address, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it is closed
                return
            self._open.append(client)
            if self._cut.is_set():
                _reset(client)
                continue
            server = socket.create_connection(("127.0.0.1", self._port))
            self._open.append(server)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()

    def cut(self) -> None:
        """Reset all connections, and those to come."""
        self._cut.set()
        for connection in self._open:
            _reset(connection)
        self._open.clear()

    def restore(self) -> None:
        """Pass new connections on again."""
        self._cut.clear()

    def close(self) -> None:
        """End the relay and its connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.shutdown(socket.SHUT_RD)  # wakes the thread that reads
    connection.close()
