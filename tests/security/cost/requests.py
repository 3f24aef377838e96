"""The attackers' requests, by HTTP/1.1 and HTTP/2: they request large answers, or do not end."""

import json

import h2.config
import h2.connection

from components.core.names import TAIL
from components.gateway.envoy import bootstrap
from components.gateway.limits import MOST_UNDECLARED_BYTES
from tests.security.cost.http1 import from_address, request
from tests.security.cost.pod import ATTACKER, CORTEX, LOKI
from tests.support.gateway import LABELS, PUSH, SETTINGS

FROM = from_address(ATTACKER)
STREAMS = 100  # Envoy's limit for a connection
NO_WINDOW, USUAL_WINDOW, LARGEST_WINDOW = 0, 65_535, 2**31 - 1
LARGE = f"/api/v1/query?query=up&bytes={4 * 2**20}"
FRAME_BYTES = 16_384
HEADER_BYTES = 1000
ENVOY_KIB = 60  # Envoy's default limit of a request's headers
PROBE_BYTES = 55_000


def http2(path: str, token: str | None, window: int, body: bytes = b"") -> bytes:
    """Return the bytes that an HTTP/2 client sends: its preface, and requests, which do not end if they have a body."""
    state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    state.local_settings.initial_window_size = window
    state.initiate_connection()
    if window == LARGEST_WINDOW:
        state.increment_flow_control_window(LARGEST_WINDOW - USUAL_WINDOW)
    fields = {":method": "POST" if body else "GET", ":scheme": "https", ":authority": CORTEX, ":path": path}
    fields |= {"authorization": f"Bearer {token}"} if token else {}
    sent = bytearray()
    for stream in range(1, 2 * STREAMS, 2):
        state.send_headers(stream, [*fields.items()], end_stream=not body)
        sent += state.data_to_send()
        for start in range(0, len(body), FRAME_BYTES):
            piece = body[start : start + FRAME_BYTES]
            sent += len(piece).to_bytes(3) + b"\0\0" + stream.to_bytes(4) + piece  # DATA frames, beyond the window
    return FROM + bytes(sent)


def large_answer(token: str) -> bytes:
    """Return a query with a large answer."""
    return FROM + request(CORTEX, LARGE, f"Bearer {token}")


def unfinished_body(token: str | None) -> bytes:
    """Return a push without a declared length that stays below the limit and does not end."""
    head = request(CORTEX, PUSH, f"Bearer {token}" if token else None, "POST").removesuffix(b"\r\n")
    size = MOST_UNDECLARED_BYTES - 4096
    return FROM + head + f"Transfer-Encoding: chunked\r\n\r\n{MOST_UNDECLARED_BYTES:x}\r\n".encode() + b"x" * size


def streamed_body(token: str, query: str = "") -> bytes:
    """Return the headers of a push whose body is streamed in chunks, and has not begun."""
    head = request(CORTEX, PUSH + query, f"Bearer {token}", "POST").removesuffix(b"\r\n")
    return FROM + head + b"Transfer-Encoding: chunked\r\n\r\n"


def tail(token: str) -> bytes:
    """Return the request of a log tail."""
    head = request(LOKI, TAIL, f"Bearer {token}").removesuffix(b"\r\n")
    return FROM + head + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def chunk(size: int) -> bytes:
    """Return a chunk of a streamed body."""
    return b"%x\r\n%b\r\n" % (size, b"x" * size)


def header_bytes() -> int:
    """Return the largest size of a request's headers."""
    listener = json.loads(bootstrap(SETTINGS))["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][-1]["typed_config"]
    return 1024 * int(manager.get("max_request_headers_kb", ENVOY_KIB))


def unfinished_headers(path: str = LABELS, size: int = 0) -> bytes:
    """Return a request whose headers do not end; they have `size` bytes, by default a little less than the limit."""
    size = size or header_bytes() - 3 * HEADER_BYTES
    lines = (b"x-%03d: %s\r\n" % (number, b"x" * HEADER_BYTES) for number in range(size // HEADER_BYTES))
    return request(CORTEX, path, None).removesuffix(b"\r\n") + b"".join(lines)
