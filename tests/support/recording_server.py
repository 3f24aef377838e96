"""A server in place of a tenant's pods, which records the requests that the gateway forwards."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from components.gateway.lua_filters import UPSTREAM_HEADER
from tests.support import http_server
from tests.support.http_server import read_body

LATER_SECONDS = 2  # until it sends data on a websocket


@dataclass
class BackEnd:
    """A server in place of a tenant's pods. It answers `status` and `body`, and records the requests.

    pytest-httpserver cannot replace it: it answers websockets, reuses another server's port, and keeps connections
    open.
    """

    requests: list[str] = field(default_factory=list)  # tenant header, method and path of each
    names: list[str] = field(default_factory=list)  # the host names that the gateway resolved
    credentials: list[str | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # of the bodies
    last_byte: bytes = b""  # of the last body
    websockets: list[dict[str, str]] = field(default_factory=list)  # the headers of each
    received: int = 0  # bytes on websockets, if `reads`
    status: int = 200
    body: bytes = b"ok"
    address: str = "127.0.0.1"
    port: int = 0  # any that is free
    seconds: float = 0  # that an answer takes
    pings: bool = False  # whether a websocket goes on, with data every second, as Loki's; otherwise it ends after some
    reads: bool = False  # whether a websocket goes on and is read, without data

    def __post_init__(self) -> None:
        back_end = self

        class BackEndHandler(http_server.Handler):
            def answer(self) -> None:
                if self.headers.get("upgrade") == "websocket":
                    self._answer_websocket()
                else:
                    self._answer_request()

            def _answer_request(self) -> None:
                body = read_body(self.headers, self.rfile)
                back_end.sizes.append(len(body))
                back_end.last_byte = body[-1:]
                back_end.credentials.append(self.headers["authorization"])
                back_end.names.append(self.headers[UPSTREAM_HEADER])
                tenants = ",".join(self.headers.get_all("x-scope-orgid", []))
                back_end.requests.append(f"{tenants} {self.command} {self.path}")
                time.sleep(back_end.seconds)
                status, text = back_end.status, back_end.body  # a test may change them once the headers are sent
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def _answer_websocket(self) -> None:
                back_end.websockets.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(101)
                self.send_header("upgrade", "websocket")
                self.send_header("connection", "upgrade")
                self.end_headers()
                self.close_connection = True
                with suppress(OSError):  # the gateway ends it
                    while back_end.reads and (data := self.connection.recv(2**16)):
                        back_end.received += len(data)
                    while back_end.pings:
                        self.wfile.write(b"ping")
                        time.sleep(1)
                    time.sleep(LATER_SECONDS)
                    self.wfile.write(b"later")

        self.server = http_server.Server((self.address, self.port), BackEndHandler)
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def service(self) -> str:
        """Remove the last host name from `names`, and return it without a dot at its end."""
        return self.names.pop().removesuffix(".")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
