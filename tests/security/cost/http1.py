"""HTTP/1.1 as the load balancer forwards it, for the back end, the good client and the attackers."""

import asyncio
import re

ADDRESS = "127.0.0.1"
LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
CHUNKED = re.compile(rb"^transfer-encoding: *chunked", re.IGNORECASE | re.MULTILINE)
CLOSE = re.compile(rb"^connection: *close", re.IGNORECASE | re.MULTILINE)


def from_address(client: str) -> bytes:
    """Return the start of a connection from the load balancer, with the client's address (PROXY protocol v1)."""
    return f"PROXY TCP4 {client} {ADDRESS} 40000 8080\r\n".encode()


def request(host: str, path: str, authorization: str | None, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request; one with a body declares its length."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"Authorization: {authorization}"] if authorization is not None else []
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


async def read_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """Return the body that follows the head of a request or of an answer."""
    if not CHUNKED.search(head):
        length = LENGTH.search(head)
        return await reader.readexactly(int(length[1])) if length else b""
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)


class Connection:
    """A connection to the gateway for one request after the other, opened again after its end."""

    def __init__(self, port: int, client: str) -> None:
        self._port, self._begins = port, from_address(client) if client else b""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.opened = 0

    async def ask(self, sent: bytes) -> tuple[int, bytes]:
        """Send a request; return status and body of the answer."""
        if self._streams and (self._streams[0].at_eof() or self._streams[1].is_closing()):
            self.close()
        if not self._streams:
            self._streams = await asyncio.open_connection(ADDRESS, self._port, limit=2**20)
            self.opened += 1
            sent = self._begins + sent
        reader, writer = self._streams
        writer.write(sent)
        try:
            await writer.drain()
        except ConnectionError:
            pass  # a server may answer before it has read all; without an answer the next line fails
        head = await reader.readuntil(b"\r\n\r\n")
        body = await read_body(head, reader)
        if CLOSE.search(head):
            self.close()
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        if self._streams:
            self._streams[1].transport.abort()
            self._streams = None
