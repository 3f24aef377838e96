"""A server that takes connections and never answers, as a service behind a broken network does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class HangingServer:
    """A server at `url`; `connections` are those that it has taken."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                self.connections.append(self._listener.accept()[0])
            except OSError:  # closed
                return

    def close(self) -> None:
        """End the server and its connections."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        for one in (self._listener, *self.connections):
            one.close()


@contextmanager
def hanging_server() -> Iterator[HangingServer]:
    """Start a server, and end it."""
    server = HangingServer()
    try:
        yield server
    finally:
        server.close()
