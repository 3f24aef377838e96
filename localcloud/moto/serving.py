"""The HTTP server of the embedded AWS, with time limits against silent clients.

werkzeug's own server does the TLS handshake in its accept loop and waits for a request without a limit. So one silent
connection stops all other clients of the TLS port.
"""

import io
import socket
import ssl
import time
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

HEADERS_SECONDS = 10.0  # for the TLS handshake, and then for all headers of the request
SILENCE_SECONDS = 60.0  # between two parts of a request's body


class _Reader(socket.SocketIO):
    """Reads a connection with a time limit; writes have none, because a large answer takes its time."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, "r")
        self._connection = connection
        self.deadline: float | None = time.monotonic() + HEADERS_SECONDS

    def readinto(self, buffer: Any) -> int | None:
        remaining = SILENCE_SECONDS if self.deadline is None else self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the request's headers took too long")
        self._connection.settimeout(remaining)
        try:
            return super().readinto(buffer)
        finally:
            self._connection.settimeout(None)


class _Handler(WSGIRequestHandler):
    """Answers one connection in its own thread."""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._reader = _Reader(self.connection)
        self.rfile = io.BufferedReader(self._reader)

    def run_wsgi(self) -> None:
        self._reader.deadline = None  # all headers have arrived
        super().run_wsgi()


class Server(ThreadedWSGIServer):
    """Serves a WSGI application with a thread for each connection, over TLS where `context` is set."""

    def __init__(self, host: str, port: int, application: Any, context: ssl.SSLContext | None = None) -> None:
        super().__init__(host, port, application, _Handler)
        # Set after the socket listens: the connections are wrapped, not the listening socket. It also gives the URL scheme.
        self.ssl_context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection; runs in the connection's own thread."""
        if self.ssl_context is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(HEADERS_SECONDS)
        try:
            secure = self.ssl_context.wrap_socket(request, server_side=True)
        except OSError as error:  # includes TLS errors and the time limit; the socket is closed
            self.log("info", "TLS handshake with %s: %s", client_address, error)
            return
        try:
            secure.settimeout(None)
            super().finish_request(secure, client_address)
        finally:
            self.shutdown_request(secure)
