"""Load on a tenant's two APIs: numbered samples and lines over open connections, and their query results."""

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from scripts.clients.gateway.probe import pool
from tests.support.polling import eventually
from tests.support.remote_write import HEADERS, request
from tests.support.user_session import UserSession, url

Numbered = set[tuple[int, int]]
"""The number of a writer, and that of its push."""

WRITERS = 4
PUSHES_A_SECOND = 50  # to each API, of all writers
ANSWER_SECONDS = 10.0  # the timeout of Prometheus and Promtail
JSON = {"Content-Type": "application/json"}
REASON_CHARACTERS = 120
ACCEPTED_SECONDS = 120
LINES_ASKED = 5000  # Loki's default maximum for a query


class Load:
    """Writers that push samples and lines, each over its own connections, while the context is entered.

    `samples` and `lines` are the accepted ones (2xx). `refused` counts the other answers by status, None for
    no answer, and `reasons` by text. Nothing is retried: retries would hide losses.
    """

    def __init__(self, walk: UserSession, tenant: str, token: str, name: str) -> None:
        self._walk, self._tenant, self._token, self._name = walk, tenant, token, name
        self._pause = WRITERS / PUSHES_A_SECOND
        self._stop = threading.Event()
        self.samples: Numbered = set()
        self.lines: Numbered = set()
        self.refused: Counter[int | None] = Counter()
        self.reasons: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        cortex, loki = (Connection(self._walk, api, self._tenant, self._token) for api in ("cortex", "loki"))
        number = 0
        while not self._stop.is_set():
            number += 1
            due = time.monotonic() + self._pause
            labels = {"__name__": self._name, "writer": str(writer)}
            sample = request((labels, [(time.time(), float(number))]))
            self._note(self.samples, (writer, number), cortex.post("/api/v1/push", sample, HEADERS))
            stream = {
                "stream": {"job": self._name, "writer": str(writer)},
                "values": [[str(time.time_ns()), f"{number}"]],
            }
            body = json.dumps({"streams": [stream]}).encode()
            self._note(self.lines, (writer, number), loki.post("/loki/api/v1/push", body, JSON))
            self._stop.wait(due - time.monotonic())

    def _note(self, accepted: Numbered, what: tuple[int, int], answer: tuple[int | None, str]) -> None:
        status, text = answer
        if status and status < 300:
            accepted.add(what)
        else:
            self.refused[status] += 1
            self.reasons[text[:REASON_CHARACTERS]] += 1

    def await_accepted(self, count: int) -> None:
        """Wait until `count` more samples and lines have been accepted."""
        samples, lines = len(self.samples), len(self.lines)
        eventually(lambda: min(len(self.samples) - samples, len(self.lines) - lines) >= count, ACCEPTED_SECONDS)

    def assert_nothing_lost(self, seconds: float) -> None:
        """Fail unless queries return all accepted samples and lines within some seconds."""
        assert max(number for _, number in self.lines) < LINES_ASKED  # a query returns no more lines
        print(f"accepted: {len(self.samples)} samples, {len(self.lines)} lines; not accepted: {dict(self.refused)}")
        for reason, count in self.reasons.most_common():
            print(f"  {count} times: {reason}")
        eventually(lambda: self._samples_found() >= self.samples, seconds)
        eventually(lambda: self._lines_found() >= self.lines, seconds)

    def _query(self, api: str, path: str, **query: str) -> list[Any]:
        status, body = self._walk.curl(f"{url(api, self._tenant, path)}?{urlencode(query)}", token=self._token)
        return list(json.loads(body)["data"]["result"]) if status == 200 else []

    def _samples_found(self) -> Numbered:
        series_list = self._query("cortex", "/api/v1/query", query=f"{self._name}[1h]")
        return {
            (int(series["metric"]["writer"]), int(value)) for series in series_list for _, value in series["values"]
        }

    def _lines_found(self) -> Numbered:
        lines: Numbered = set()
        for writer in range(len(self._threads)):
            query = f'{{job="{self._name}", writer="{writer}"}}'
            streams = self._query("loki", "/loki/api/v1/query_range", query=query, limit=str(LINES_ASKED))
            lines |= {(writer, int(line)) for stream in streams for _, line in stream["values"]}
        return lines


class Connection:
    """An open connection to one API of a tenant, which is opened again after an error."""

    def __init__(self, walk: UserSession, api: str, tenant: str, token: str) -> None:
        address = url(api, tenant, "/")
        self._pool = pool(address, Path(walk.ca), ANSWER_SECONDS)
        self._headers = {"Host": urlsplit(address).netloc, "Authorization": f"Bearer {token}"}

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int | None, str]:
        """Return the status of the answer and its text; None and the kind of error without an answer."""
        try:
            answer = self._pool.request("POST", path, body=body, headers=self._headers | dict(headers))
            return answer.status, answer.data.decode(errors="replace").strip()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return None, type(error).__name__
