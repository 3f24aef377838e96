"""The attackers, in a separate process.

`hold` opens connections and keeps them. `flood` sends request after request. `costs` sends kinds of requests in turns, and
reports the CPU time that a request of each kind costs the gateway.

The process reads the plan as a line of JSON from standard input, and writes a line with the results to standard output.
The process ends, and its connections with it, when standard input ends.
"""

import asyncio
import base64
import collections
import itertools
import json
import select
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from tests.security.cost.cgroup import cpu_seconds
from tests.security.cost.http1 import ADDRESS, Connection
from tests.security.cost.tokens import payloads

OPENING = 64  # connections at the same time
OPENING_SECONDS = 120.0  # at most
UNPACED = 100_000.0
ANSWER_SECONDS = 10.0
COST_SECONDS = 60.0  # at most, for one kind


async def _paced(rate: float, seconds: float, most: int | None = None) -> AsyncIterator[int]:
    """Count up to `most` at this rate, for at most `seconds`."""
    started = time.monotonic()
    for number in itertools.count():
        if number == most or time.monotonic() >= started + seconds:
            return
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        yield number


def _finish(future: asyncio.Future[None]) -> None:
    """Set the result of a future that its waiter may have cancelled."""
    if not future.done():
        future.set_result(None)


class Holder:
    """Connections that send a payload, then perhaps a piece over and over, never read, and stay open."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._sent = [base64.b64decode(text) for text in plan["payloads"]]
        self._piece = base64.b64decode(plan.get("piece", ""))
        self._sockets: list[socket.socket] = []
        self._bytes, self._refused = 0, 0
        self._opening = asyncio.Semaphore(OPENING)

    async def _open(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        connection = socket.socket()
        connection.setblocking(False)
        if self._plan.get("receive_buffer"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._plan["receive_buffer"])
        self._sockets.append(connection)
        payload = self._sent[number % len(self._sent)]
        try:
            async with self._opening:
                await loop.sock_connect(connection, (ADDRESS, self._plan["port"]))
            await self._send_all(loop, connection, payload)
            while self._piece:
                await asyncio.sleep(self._plan["pause"])
                await self._send_all(loop, connection, self._piece)
        except OSError:
            self._refused += 1

    async def _send_all(self, loop: asyncio.AbstractEventLoop, connection: socket.socket, payload: bytes) -> None:
        while payload:
            await asyncio.sleep(0)
            sent = await self._send(loop, connection, payload)
            payload, self._bytes = payload[sent:], self._bytes + sent

    @staticmethod
    async def _send(loop: asyncio.AbstractEventLoop, connection: socket.socket, payload: bytes) -> int:
        try:
            return connection.send(payload)
        except BlockingIOError:
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_writer(connection, _finish, ready)
            try:
                await ready
            finally:
                loop.remove_writer(connection)
            return 0

    async def run(self) -> dict[str, Any]:
        opening: list[asyncio.Task[None]] = []
        await asyncio.sleep(self._plan.get("delay", 0))
        async for number in _paced(self._plan["rate"], OPENING_SECONDS, self._plan["count"]):
            opening.append(asyncio.create_task(self._open(number)))
        await asyncio.sleep(self._plan["seconds"])
        for task in opening:
            task.cancel()  # payloads that the gateway does not read
        await asyncio.gather(*opening, return_exceptions=True)
        states = collections.Counter(map(_state, self._sockets))
        return {"opened": len(self._sockets), "refused": self._refused, "bytes": self._bytes, "states": states}


def _state(connection: socket.socket) -> str:
    """Return `open` or `closed`, after the status of an answer if there is one; the answer stays unread."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    state = "closed" if poll.poll(0) else "open"
    try:
        data = connection.recv(64, socket.MSG_PEEK)
    except OSError:
        return state
    if not data:
        return state
    return f"{data.split(b' ', 2)[1].decode() if data.startswith(b'HTTP/1.1 ') else 'HTTP/2'} {state}"


class Flooder:
    """Clients that send one request after the other, at a pace."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._next = payloads(**plan["requests"])
        self._answers: collections.Counter[str] = collections.Counter()
        self._bodies: dict[str, str] = {}
        self._connections = [Connection(plan["port"], plan["client"]) for _ in range(plan["clients"])]

    async def _ask(self, free: asyncio.Queue[Connection], payload: bytes) -> None:
        connection = await free.get()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status, body = await connection.ask(payload)
                self._answers[str(status)] += 1
                self._bodies.setdefault(str(status), body.decode(errors="replace")[:200])
        except (OSError, EOFError, TimeoutError) as error:
            self._answers[type(error).__name__] += 1
            connection.close()
        finally:
            free.put_nowait(connection)

    async def run(self) -> dict[str, Any]:
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in self._connections:
            free.put_nowait(connection)
        running: set[asyncio.Task[None]] = set()
        started = time.monotonic()
        async for _ in _paced(self._plan.get("rate", UNPACED), self._plan["seconds"], self._plan.get("count")):
            if len(running) >= len(self._connections):
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._ask(free, next(self._next)))
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running)
        seconds = time.monotonic() - started
        opened = sum(connection.opened for connection in self._connections)
        return {"answers": self._answers, "bodies": self._bodies, "opened": opened, "seconds": seconds}


class Accountant:
    """Clients that send one kind of request for a while, then the next, to measure the cost of each."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan, self._file = plan, Path(plan["cpu_file"])

    async def _cost(self, text: str) -> tuple[float, dict[str, Any]]:
        count, before = self._plan["count"], cpu_seconds(self._file)
        flooder = Flooder(self._plan | {"requests": {"kind": "fixed", "texts": [text]}, "seconds": COST_SECONDS})
        seen = await flooder.run()
        return (cpu_seconds(self._file) - before) / count, seen

    async def run(self) -> dict[str, Any]:
        costs: dict[str, list[float]] = collections.defaultdict(list)
        seen = {}
        for _ in range(self._plan["rounds"]):
            for name, text in self._plan["kinds"].items():
                cost, seen[name] = await self._cost(text)
                costs[name].append(cost)
        return {"costs": costs, "seen": seen}


class Attacker(Protocol):
    """A part of an attack, made from its plan."""

    def __init__(self, plan: dict[str, Any]) -> None: ...

    async def run(self) -> dict[str, Any]:
        """Attack, and return the results."""


KINDS: dict[str, type[Attacker]] = {"hold": Holder, "flood": Flooder, "costs": Accountant}


async def _run(plan: dict[str, Any]) -> None:
    """Print the results, and keep all connections until standard input ends, which ends the attack."""
    attackers = [KINDS[part["kind"]](part) for part in plan["parts"]]
    print(json.dumps(await asyncio.gather(*(attacker.run() for attacker in attackers))), flush=True)
    sys.stdin.read()
    del attackers  # closes all their sockets


if __name__ == "__main__":
    asyncio.run(_run(json.loads(sys.stdin.readline())))
