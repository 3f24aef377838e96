"""The base of servers with features that pytest-httpserver lacks: upgrade, cut or keep a connection, reuse a port."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol


class Headers(Protocol):
    """The headers of a request, with names in upper or lower case."""

    def get(self, name: str) -> str | None:
        """Return the value of a header, None where there is none."""


class Body(Protocol):
    """A stream that a request's body is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most this number of bytes."""

    def readline(self) -> bytes:
        """Return the bytes up to the end of the line."""


def read_body(headers: Headers, stream: Body) -> bytes:
    """Return a request's body, by its declared length or in chunks (RFC 9112, 7.1): `http.server` leaves it unread."""
    if (headers.get("transfer-encoding") or "").lower() != "chunked":
        return stream.read(int(headers.get("content-length") or 0))
    parts = []
    while size := int(stream.readline().split(b";")[0], 16):
        parts.append(stream.read(size))
        stream.readline()
    stream.readline()
    return b"".join(parts)


class Server(ThreadingHTTPServer):
    """A server that ignores clients that disconnect before the answer."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show the error of a request's handler, unless the connection failed, as with `BrokenPipeError`."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers requests of every method by `answer`, over connections that stay open; writes no log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the acknowledgement of its headers

    def answer(self) -> None:
        """Answer one request; its body is still unread."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_PATCH(self) -> None:
        self.answer()

    def do_DELETE(self) -> None:
        self.answer()

    def log_message(self, *arguments: object) -> None:
        """Write nothing."""
