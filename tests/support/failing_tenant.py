"""A server in place of a tenant's hosts that refuses requests for a while, each in another way."""

import socket
import struct
import threading
from collections.abc import Sequence
from itertools import cycle

from tests.support import http_server
from tests.support.http_server import read_body

RESET = "reset"
WAYS: tuple[int | str, ...] = (429, 503, RESET)
NOW = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class FailingTenant:
    """Answers 429, 503 or a reset while it fails, 401 to tokens that are revoked, and 200 to all else.

    It records the bodies of the requests, and the tokens of those that it accepted.
    """

    def __init__(self) -> None:
        tenant = self
        self.fails = True
        self.refused: dict[int | str, list[bytes]] = {way: [] for way in WAYS}
        self.accepted: list[bytes] = []
        self.tokens: list[str] = []
        self.revoked: set[str] = set()
        self.unauthorized: list[bytes] = []
        ways = cycle(WAYS)

        class TenantHandler(http_server.Handler):
            def answer(self) -> None:
                body = read_body(self.headers, self.rfile)
                token = (self.headers["authorization"] or "").removeprefix("Bearer ")
                if token in tenant.revoked:
                    tenant.unauthorized.append(body)
                    return self._send(401)
                if not tenant.fails:
                    tenant.accepted.append(body)
                    tenant.tokens.append(token)
                    return self._send(200)
                way = next(ways)
                tenant.refused[way].append(body)
                if isinstance(way, int):
                    return self._send(way)
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW)
                self.connection.close()

            def _send(self, status: int) -> None:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

        self._server = http_server.Server(("127.0.0.1", 0), TenantHandler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def has_refused_in_every_way(self) -> bool:
        return all(self.refused.values())

    def has(self, texts: Sequence[str]) -> bool:
        """Tell whether each of these texts is in a body that was accepted."""
        received = b"".join(self.accepted)
        return all(text.encode() in received for text in texts)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
