"""A way to AWS and to the API server on which requests fail.

They are throttled, refused, cut off, cut off once they were served, never answered, or made and never answered: "answer held" is
for what changes something.
"""

import itertools
import json
import random
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import urllib3

from localcloud.pki import Authority, write_pair
from tests.bodies import read_body
from tests.engine.bare import BareCloud

Server = Literal["AWS", "API server"]
Fault = Literal["throttled", "error", "cut off", "answer lost", "silence", "answer held"]
SILENT_SECONDS = 120  # more than any client waits
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host", "keep-alive"}


def at_random(seed: int, share: float, *kinds: Fault) -> Callable[[], Fault | None]:
    """Return what lets a share of all requests fail, in these ways."""
    draw, lock = random.Random(seed), threading.Lock()

    def next_fault() -> Fault | None:
        with lock:
            return draw.choice(kinds) if draw.random() < share else None

    return next_fault


def at_numbers(numbers: range, kind: Fault) -> Callable[[], Fault | None]:
    """Return what lets these requests of all fail, in this way; the first has the number 0."""
    asked = itertools.count()
    return lambda: kind if next(asked) in numbers else None


class Faults:
    """Servers on loopback before those of a bare cloud. `policy` says of each request how it fails, or None.

    Asked are requests to all servers, or to `only` one of them.
    """

    def __init__(self, cloud: BareCloud, folder: Path) -> None:
        self.policy: Callable[[], Fault | None] = lambda: None
        self.only: Server | None = None
        self.count = 0
        settings = cloud.settings
        folder.mkdir()
        authority = Authority.load_or_create(settings.pki)
        write_pair(folder / "server", authority.issue("faults", names=["127.0.0.1", "localhost"]))
        write_pair(folder / "client", authority.issue("administrator", organization="system:masters"))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
        trusted = {"ca_certs": str(settings.ca), "retries": False}
        client = {"cert_file": str(folder / "client.pem"), "key_file": str(folder / "client-key.pem")}
        aws, cluster = urllib3.PoolManager(maxsize=64, **trusted), urllib3.PoolManager(maxsize=64, **trusted, **client)
        self._servers: list[ThreadingHTTPServer] = []
        kubernetes = self._serve("API server", settings.kubernetes_endpoint, cluster)
        self.replaced = {
            settings.s3_endpoint: self._serve("AWS", settings.s3_endpoint, aws),
            settings.aws_endpoint: self._serve("AWS", settings.aws_endpoint, aws),
            cloud.kubeconfig: str(folder / "kubeconfig"),
        }
        text = Path(cloud.kubeconfig).read_text()
        (folder / "kubeconfig").write_text(text.replace(settings.kubernetes_endpoint, kubernetes))

    def stop(self) -> None:
        """End the servers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _serve(self, server_of: Server, target: str, pool: urllib3.PoolManager) -> str:
        scheme = target.split(":")[0]
        faults = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _handle(self) -> None:
                body = read_body(self.headers, self.rfile)
                fault = faults.policy() if faults.only in (None, server_of) else None
                faults.count += fault is not None
                if fault in ("throttled", "error"):
                    status, headers, answer = _refusal(fault, self.headers, target)
                    return self._answer(status, headers, answer)
                if fault == "silence":
                    self._let_wait()
                if fault in ("silence", "cut off"):
                    return self._cut()
                given = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
                found = pool.request(self.command, target + self.path, body=body, headers=given, redirect=False)
                if fault == "answer held" and self.command not in ("GET", "HEAD"):
                    self._let_wait()
                    return self._cut()
                if fault == "answer lost":
                    return self._cut()
                self._answer(found.status, found.headers, found.data)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

            def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header(
                    "content-length", headers.get("content-length", "0") if self.command == "HEAD" else str(len(body))
                )
                self.end_headers()
                self.wfile.write(body)

            def _let_wait(self) -> None:
                select.select([self.connection], [], [], SILENT_SECONDS)  # until the client gives up

            def _cut(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if scheme == "https":
            server.socket = self._context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that gave up, or a cut
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"{scheme}://127.0.0.1:{server.server_address[1]}"


def _refusal(fault: Fault, headers: Mapping[str, str], target: str) -> tuple[int, dict[str, str], bytes]:
    """Return how the service in question says that it is asked too much, or has failed."""
    throttled = fault == "throttled"
    kind = headers.get("content-type", "")
    if target.endswith(":5000") or "amazonaws" in target or "x-amz-date" in {name.lower() for name in headers}:
        code = "ThrottlingException" if throttled else "InternalFailure"
        if kind.startswith("application/x-amz-json"):
            return 400 if throttled else 500, {"content-type": kind}, f'{{"__type": "{code}"}}'.encode()
        code = "Throttling" if throttled else "InternalFailure"
        text = f"<Error><Code>{code}</Code><Message>{fault}</Message></Error>"
        text = f"<ErrorResponse>{text}</ErrorResponse>" if kind.startswith("application/x-www-form") else text
        return 503, {"content-type": "text/xml"}, text.encode()
    status: dict[str, Any] = {
        "kind": "Status",
        "status": "Failure",
        "message": fault,
        "code": 429 if throttled else 500,
    }
    return status["code"], {"content-type": "application/json", "retry-after": "1"}, json.dumps(status).encode()
