"""The base of servers with features that pytest-httpserver lacks: upgrade, cut or keep a connection, reuse a port."""

import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import urllib3

HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}  # the host is in the signature


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


class Forwarder(Handler):
    """Passes requests on to the server at `url`, and its answers back."""

    url: str
    client: urllib3.PoolManager

    def forward(self, body: bytes) -> urllib3.BaseHTTPResponse:
        """Return the server's answer to this request."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        return self.client.request(self.command, self.url + self.path, body=body, headers=headers, redirect=False)

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("content-length", length)
        self.end_headers()
        self.wfile.write(body)
