"""Requests to the APIs of tenants through the gateway, with a token."""

import time
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from components.core.errors import UserError
from scripts.clients.gateway.probe import pool

PART = 64 << 10  # bytes of an answer that are read at once


class GatewayClient:
    """A client with a token; None for an instance without authentication.

    `ca_file` is a CA to trust in addition to the public ones. An answer may take `seconds`.
    """

    def __init__(self, ca_file: Path | None, token: str | None, seconds: float) -> None:
        self._ca_file, self._token, self._seconds = ca_file, token, seconds

    def request(self, method: str, url: str, body: str | None = None) -> tuple[int, str]:
        """Return the status and the text of an answer; `body` is JSON.

        Raises `UserError` where there is no answer.
        """
        headers = {} if body is None else {"Content-Type": "application/json"}
        connections = pool(url, self._ca_file, self._seconds)
        try:
            answer = connections.request(method, _target(url), body=body, headers=self._headers(url) | headers)
            return int(answer.status), answer.data.decode("utf-8", "replace")
        except urllib3.exceptions.TimeoutError as error:
            raise UserError(f"{url} does not answer within {self._seconds:g} s") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UserError(f"{url} does not answer: {error}") from error
        finally:
            connections.close()

    def get(self, url: str, *, most_bytes: int) -> tuple[int, str]:
        """Return the status and the text of the answer to a GET.

        Raises `UserError` where the whole answer does not come in time, or where it has more than `most_bytes`.
        """
        end = time.monotonic() + self._seconds
        place = url.partition("?")[0]
        try:
            try:
                return self._read(url, end, most_bytes)
            except urllib3.exceptions.ProtocolError:  # a proxy closed the connection: to ask once more is harmless
                return self._read(url, end, most_bytes)
        except (_TooSlowError, urllib3.exceptions.TimeoutError) as error:
            raise UserError(f"{place} does not answer within {self._seconds:g} s") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UserError(f"{place} does not answer: {error.args[-1] if error.args else error}") from error

    def _read(self, url: str, end: float, most_bytes: int) -> tuple[int, str]:
        """Return the answer to a GET before `end`, of the monotonic clock; raises what urllib3 raises too."""
        body = b""
        connections = pool(url, self._ca_file, max(end - time.monotonic(), 0.1))
        try:
            answer = connections.request("GET", _target(url), headers=self._headers(url), preload_content=False)
            for part in answer.stream(PART):
                body += part
                if len(body) > most_bytes:
                    raise UserError(f"{url.partition('?')[0]} answers with more than {most_bytes >> 20} MiB")
                if time.monotonic() > end:
                    raise _TooSlowError
            return int(answer.status), body.decode("utf-8", "replace")
        finally:
            connections.close()

    def _headers(self, url: str) -> dict[str, str]:
        token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return {"Host": urlsplit(url).netloc} | token


class _TooSlowError(Exception):
    """The end of an answer did not come in time."""


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
