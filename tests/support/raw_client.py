"""Requests as bytes over TLS: no library normalizes them."""

import contextlib
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import h2.config
import h2.connection

Answer = tuple[int, str]
Fields = list[tuple[bytes, bytes]]
ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class RawClient:
    """Connects to the load balancer; `name` is the host name for TLS; requests may name other hosts."""

    name: str
    port: int
    ca_file: str

    @contextlib.contextmanager
    def open(self, *protocols: str) -> Iterator[ssl.SSLSocket]:
        """Connect, and offer these application protocols (ALPN); disconnect at the end of the block."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if protocols:
            context.set_alpn_protocols([*protocols])
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=self.name) as connection,
        ):
            yield connection

    def one(self, request: bytes) -> list[Answer]:
        """Send one request, and return only its answer."""
        with self.open() as connection:
            connection.sendall(request)
            return list(_answers(_all(connection, ANSWER_SECONDS, 1, until=_is_whole)))

    def raw(self, parts: Iterable[bytes], expected: int, quiet: float) -> list[Answer]:
        """Send the bytes of `parts`, and return all answers.

        The end is the connection's end, or `quiet` seconds without a byte after `expected` answers.
        """
        with self.open() as connection:
            for number, part in enumerate(parts):
                if number:
                    time.sleep(0.2)  # so that the part gets its own packet
                connection.sendall(part)
            return list(_answers(_all(connection, quiet, expected)))

    def http2(self, fields: Fields, body: bytes) -> list[Answer]:
        """Send one request by HTTP/2, unchecked; return the answers, which come by HTTP/1.1."""
        return self.one(http2_request(fields, body))

    def application_protocol(self) -> str | None:
        """Return the protocol that the load balancer chooses for a client with HTTP/2 and HTTP/1.1 (ALPN, RFC 7301)."""
        with self.open("h2", "http/1.1") as connection:
            return connection.selected_alpn_protocol()


def _all(
    connection: ssl.SSLSocket, quiet: float, expected: int, until: Callable[[bytes], bool] = lambda _: False
) -> bytes:
    data = bytearray()
    try:
        while not until(bytes(data)) and (part := connection.recv(65536)):
            data += part
            connection.settimeout(quiet if data.count(b"HTTP/1.1 ") >= expected else ANSWER_SECONDS)
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass  # the bytes so far are the answer
    return bytes(data)


def _is_whole(data: bytes) -> bool:
    """Return whether `data` holds a complete answer: Envoy delays the end of the connection by a second."""
    head, separator, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"^content-length: (\d+)", head, re.MULTILINE)
    return bool(separator) and (len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n"))


class _Bytes(io.BytesIO):
    """Bytes that stay readable when `http.client` closes them after an answer."""

    def makefile(self, *_: object) -> io.BytesIO:
        return self

    def close(self) -> None:
        """Do nothing."""


def _answers(data: bytes) -> Iterator[Answer]:
    stream = _Bytes(data)
    while stream.tell() < len(data):
        answer = http.client.HTTPResponse(cast("socket.socket", stream))
        answer.begin()
        yield answer.status, answer.read().decode(errors="replace")


def http2_request(fields: Fields, body: bytes) -> bytes:
    """Return the bytes of one HTTP/2 request on a new connection, with the client's preface, unchecked."""
    state = h2.connection.H2Connection(
        h2.config.H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
    )
    state.initiate_connection()
    state.send_headers(1, fields, end_stream=not body)
    if body:
        state.send_data(1, body, end_stream=True)
    return state.data_to_send()
