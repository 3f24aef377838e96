"""Requests as bytes, over TLS and without any library that would tidy them up."""

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
import h2.events
import h2.exceptions

Answer = tuple[int, str]
Fields = list[tuple[bytes, bytes]]
ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class Door:
    """Where the gateway is: `name` is for TLS, whatever a request then says of its host."""

    name: str
    port: int
    ca_file: str

    @contextlib.contextmanager
    def open(self) -> Iterator[ssl.SSLSocket]:
        """Connect, and disconnect in the end."""
        context = ssl.create_default_context(cafile=self.ca_file)
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=self.name) as connection,
        ):
            yield connection

    def one(self, request: bytes) -> list[Answer]:
        """Send one request, and return its answer alone."""
        with self.open() as connection:
            connection.sendall(request)
            return list(_answers(_all(connection, ANSWER_SECONDS, 1, until=_is_whole)))

    def raw(self, parts: Iterable[bytes], wanted: int, quiet: float) -> list[Answer]:
        """Send the bytes of `parts`, and return all answers that come.

        The end is the connection's, or `quiet` seconds without a further byte once there are `wanted` answers.
        """
        with self.open() as connection:
            for number, part in enumerate(parts):
                if number:
                    time.sleep(0.2)  # not in one packet with what was before
                connection.sendall(part)
            return list(_answers(_all(connection, quiet, wanted)))

    def http2(self, fields: Fields, body: bytes) -> list[Answer]:
        """Send one request by HTTP/2 as it is given; a stream or connection that is closed is 0 with the error's name."""
        with self.open() as connection:
            stream = Stream(connection)
            stream.send(fields, body)
            return [stream.answer()]


def _all(
    connection: ssl.SSLSocket, quiet: float, wanted: int, until: Callable[[bytes], bool] = lambda _: False
) -> bytes:
    found = bytearray()
    try:
        while not until(found) and (part := connection.recv(65536)):
            found += part
            connection.settimeout(quiet if found.count(b"HTTP/1.1 ") >= wanted else ANSWER_SECONDS)
    except (TimeoutError, ConnectionError, ssl.SSLError):
        pass  # what came until then is the answer
    return bytes(found)


def _is_whole(data: bytes) -> bool:
    """Tell whether one answer is there. The connection's end, that tells it too, is held back by Envoy for a second."""
    head, found, body = bytes(data).partition(b"\r\n\r\n")
    length = re.search(rb"^content-length: (\d+)", head, re.MULTILINE)
    return bool(found) and (len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n"))


class _Bytes(io.BytesIO):
    """Bytes that `http.client` may close after each answer."""

    def makefile(self, *_: object) -> io.BytesIO:
        return self

    def close(self) -> None:
        """Stay open for the next answer."""


def _answers(data: bytes) -> Iterator[Answer]:
    stream = _Bytes(data)
    while stream.tell() < len(data):
        answer = http.client.HTTPResponse(cast("socket.socket", stream))
        answer.begin()
        yield answer.status, answer.read().decode(errors="replace")


class Stream:
    """One request of a connection of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._state = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
            )
        )
        self._state.initiate_connection()

    def send(self, fields: Fields, body: bytes) -> None:
        self._state.send_headers(1, fields, end_stream=not body)
        if body:
            self._state.send_data(1, body, end_stream=True)
        self._connection.sendall(self._state.data_to_send())

    def answer(self) -> Answer:
        status, text = 0, bytearray()
        while data := self._connection.recv(65536):
            for event in self._state.receive_data(data):
                match event:
                    case h2.events.ResponseReceived():
                        status = int(dict(event.headers)[b":status"])
                    case h2.events.DataReceived():
                        text += event.data
                    case h2.events.StreamEnded():
                        return status, text.decode(errors="replace")
                    case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                        return status, getattr(event.error_code, "name", str(event.error_code))
            self._connection.sendall(self._state.data_to_send())
        return status, "closed"
