"""A receiver of alerts: a server that keeps the notifications that Alertmanager sends to it."""

import json
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response


class Receiver:
    """Listens at `address`; `notifications` are the received bodies (Alertmanager documentation, 'Webhook')."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.notifications: list[dict[str, Any]] = []
        self._server = HTTPServer(address, 0, threaded=True)
        self._server.expect_request("/", method="POST").respond_with_handler(self._receive)
        # A test of network policies only asks whether this port can be reached.
        self._server.expect_request("/", method="GET").respond_with_data(status=405)
        self._server.start()
        self.url = self._server.url_for("/")

    def _receive(self, request: Request) -> Response:
        self.notifications.append(json.loads(request.get_data()))
        return Response()

    def alerts(self) -> set[str]:
        """Return the names of all received alerts."""
        return {alert["labels"]["alertname"] for entry in self.notifications for alert in entry["alerts"]}

    def close(self) -> None:
        """End the server; fails if a request was not a notification in JSON."""
        self._server.stop()
        self._server.check()
