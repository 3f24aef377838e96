"""Requests to the APIs of tenants through the gateway, with a token."""

from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from components.core.errors import UserError
from scripts.clients.gateway.probe import pool

SECONDS = 30.0  # for an answer: a query may take longer than a page


class GatewayClient:
    """A client with a token.

    `ca_file` is a CA to trust in addition to the public ones. An answer may take `seconds`.
    """

    def __init__(self, ca_file: Path | None, token: str, seconds: float = SECONDS) -> None:
        self._ca_file, self._token, self._seconds = ca_file, token, seconds

    def request(self, method: str, url: str, body: str | None = None) -> tuple[int, str]:
        """Return the status and the text of an answer; `body` is JSON.

        Raises `UserError` where there is no answer.
        """
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, "Authorization": f"Bearer {self._token}"}
        headers |= {} if body is None else {"Content-Type": "application/json"}
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connections = pool(url, self._ca_file, self._seconds)
        try:
            answer = connections.request(method, target, body=body, headers=headers)
            return int(answer.status), answer.data.decode("utf-8", "replace")
        except urllib3.exceptions.TimeoutError as error:
            raise UserError(f"{url} does not answer in {self._seconds:.0f} s") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UserError(f"{url} does not answer: {error}") from error
        finally:
            connections.close()
