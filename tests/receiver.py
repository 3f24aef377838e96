"""A receiver of alerts: a server that remembers the notifications that Alertmanager sent it."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.bodies import read_body


@dataclass
class Receiver:
    """Listens at `address`; `seen` are the notifications (Alertmanager, 'Webhook')."""

    address: str = "127.0.0.1"
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.append(json.loads(read_body(self.headers, self.rfile)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((self.address, 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self._server.server_address[1]}/"

    def alerts(self) -> set[str]:
        return {alert["labels"]["alertname"] for entry in self.seen for alert in entry["alerts"]}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
