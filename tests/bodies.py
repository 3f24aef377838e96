"""Bodies of HTTP/1.1 requests, for servers of the tests: `http.server` leaves them to its user."""

from collections.abc import Mapping
from typing import IO


def read_body(headers: Mapping[str, str], stream: IO[bytes]) -> bytes:
    """Return the body that follows these headers, by its declared length or in chunks (RFC 9112, 7.1)."""
    if (headers.get("transfer-encoding") or "").lower() != "chunked":
        return stream.read(int(headers.get("content-length") or 0))
    parts = []
    while size := int(stream.readline().split(b";")[0], 16):
        parts.append(stream.read(size))
        stream.readline()
    stream.readline()
    return b"".join(parts)
