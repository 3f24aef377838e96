"""The good client, as a process: a tenant that pushes and queries steadily while another one attacks.

It also sends the kubelet's probes. Settings come as JSON on standard input. It prints a line when a request starts:
`asked` or `probed`, its number and the time. It prints a line when the request ends, with its seconds and its status
too, 0 for no answer. The clock is `time.monotonic`, which all processes of the machine share.
"""

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator

from tests.security.cost.http1 import Connection, request

PER_SECOND = 25
NEW_EVERY = 5  # every fifth request has a new connection, like a new client
ANSWER_SECONDS = 5.0
PROBE_SECONDS = 0.5  # between probes, and the timeout of one
ADDRESS = "192.0.2.1"


async def _send(kind: str, number: int, connection: Connection, sent: bytes, seconds: float) -> None:
    started, status = time.monotonic(), 0
    print(f"{kind} {number} {started:.4f}", flush=True)
    try:
        async with asyncio.timeout(seconds):
            status, _ = await connection.ask(sent)
    except (OSError, EOFError, TimeoutError):
        connection.close()  # the line below reports status 0
    print(f"{kind} {number} {started:.4f} {time.monotonic() - started:.4f} {status}", flush=True)


class GoodClient:
    def __init__(self, port: int, health_port: int, host: str, token: str) -> None:
        self._port, self._health_port = port, health_port
        allowed = f"Bearer {token}"
        self._requests = [
            request(host, "/api/v1/push", allowed, "POST", b"x" * 2000),
            request(host, "/api/v1/query?query=up", allowed),
        ]
        self._kept: list[Connection] = []

    @contextlib.contextmanager
    def _connection(self, *, new: bool) -> Iterator[Connection]:
        connection = self._kept.pop() if self._kept and not new else Connection(self._port, ADDRESS)
        yield connection
        if new:
            connection.close()
        else:
            self._kept.append(connection)

    async def ask(self, number: int) -> None:
        """Send one request, and print its result."""
        with self._connection(new=number % NEW_EVERY == 0) as connection:
            await _send("asked", number, connection, self._requests[number % 2], ANSWER_SECONDS)

    async def probe(self) -> None:
        """Send readiness probes forever, over new connections as the kubelet does."""
        for number in itertools.count():
            connection = Connection(self._health_port, "")
            await _send("probed", number, connection, request("probe", "/ready", None), PROBE_SECONDS)
            connection.close()
            await asyncio.sleep(PROBE_SECONDS)

    async def run(self) -> None:
        """Send requests at an even pace, whether answers come or not."""
        started, number = time.monotonic(), 0
        running = {asyncio.create_task(self.probe())}
        while True:
            task = asyncio.create_task(self.ask(number))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
            await asyncio.sleep(max(0.0, started + number / PER_SECOND - time.monotonic()))


if __name__ == "__main__":
    asyncio.run(GoodClient(**json.loads(sys.stdin.readline())).run())
