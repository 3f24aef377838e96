"""A tenant's back ends, in a process with its own address: they send answers as fast as clients read them."""

import asyncio
import re
import socket
import sys

from tests.security.cost.http1 import read_body

PIECE = b"x" * 65_536
UNREAD = b"unread=true"  # in the query of a request whose body is not read
UNREAD_SECONDS = 3600
RECEIVE_BUFFER = 65_536
UPGRADE = b"upgrade: websocket"  # of a log tail, which gets data for as long as it lasts
LARGE = re.compile(rb"[?&]bytes=(\d+)")
PORT = 80  # of the tenants' Services


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if UPGRADE in head:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        while True:
            writer.write(PIECE)
            await writer.drain()
    if UNREAD in head.split(b"\r\n", 1)[0]:
        assert isinstance(writer.transport, asyncio.Transport)
        writer.transport.pause_reading()
        await asyncio.sleep(UNREAD_SECONDS)
    await read_body(head, reader)
    large = LARGE.search(head.split(b"\r\n", 1)[0])
    if not large:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        return
    left = int(large[1])
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {left}\r\n\r\n".encode())
    while left > 0:  # in pieces: an answer that is not read must not fill this process's memory
        writer.write(PIECE[:left])
        left -= len(PIECE)
        await writer.drain()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await _answer(reader, writer)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, ValueError):
        pass  # the gateway closed the connection, perhaps between two chunks of a body
    finally:
        writer.close()


async def main(address: str) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # the kernel would enlarge it to 6 MiB
    listener.bind((address, PORT))
    server = await asyncio.start_server(_serve, sock=listener, limit=2**20, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
