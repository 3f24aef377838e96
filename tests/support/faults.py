"""Proxies before AWS and the API server that let requests fail: a test chooses which ones, and how.

A request is throttled, refused, cut off, cut off after it was served, never answered, or served and never answered. The
last fault is "answer held", for requests that change something.
"""

import itertools
import json
import random
import select
import socket
import ssl
import threading
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any, Literal

import urllib3

from localcloud.certificate_authority import Authority, write_pair
from tests.support import http_server
from tests.support.bare_cloud import BareCloud
from tests.support.http_server import read_body

Server = Literal["AWS", "API server"]
Fault = Literal["throttled", "error", "cut off", "answer lost", "silence", "answer held"]
SILENT_SECONDS = 120  # more than any client waits


def at_random(seed: int, share: float, *kinds: Fault) -> Callable[[], Fault | None]:
    """Return a policy that lets a share of all requests fail, in these ways."""
    draw, lock = random.Random(seed), threading.Lock()

    def next_fault() -> Fault | None:
        with lock:
            return draw.choice(kinds) if draw.random() < share else None

    return next_fault


def at_numbers(numbers: range, kind: Fault) -> Callable[[], Fault | None]:
    """Return a policy that lets the requests with these numbers fail, in this way; the first request has the number 0."""
    count = itertools.count()
    return lambda: kind if next(count) in numbers else None


class Faults:
    """Proxies on loopback before the servers of a bare cloud; `count` is the number of requests that failed.

    `policy` returns for each request how it fails, or None. It is called for requests to all servers, or to `only` one.
    pytest-httpserver cannot replace them: they cut connections and leave requests without an answer.
    """

    def __init__(self, cloud: BareCloud, folder: Path) -> None:
        self.policy: Callable[[], Fault | None] = lambda: None
        self.only: Server | None = None
        self.count = 0
        settings = cloud.settings
        folder.mkdir()
        # Certificates of the cloud's own authority: its users trust no other.
        authority = Authority.of(settings)
        write_pair(folder / "server", authority.issue("faults", names=["127.0.0.1", "localhost"]))
        write_pair(folder / "client", authority.issue("administrator", organization="system:masters"))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
        trusted: dict[str, Any] = {"ca_certs": str(settings.ca), "retries": False, "maxsize": 64}
        client: dict[str, Any] = {"cert_file": str(folder / "client.pem"), "key_file": str(folder / "client-key.pem")}
        aws, cluster = urllib3.PoolManager(**trusted), urllib3.PoolManager(**trusted, **client)
        self._servers: list[http_server.Server] = []
        kubernetes = self._serve("API server", settings.kubernetes_endpoint, cluster)
        self.replaced = {
            settings.s3_endpoint: self._serve("AWS", settings.s3_endpoint, aws),
            settings.aws_endpoint: self._serve("AWS", settings.aws_endpoint, aws),
            cloud.kubeconfig: str(folder / "kubeconfig"),
        }
        text = Path(cloud.kubeconfig).read_text()
        (folder / "kubeconfig").write_text(text.replace(settings.kubernetes_endpoint, kubernetes))

    def stop(self) -> None:
        """End the proxies."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def next_fault(self, server: Server) -> Fault | None:
        """Return how the next request to a server fails, and count it if it does."""
        fault = self.policy() if self.only in (None, server) else None
        self.count += fault is not None
        return fault

    def _serve(self, server_of: Server, target: str, pool: urllib3.PoolManager) -> str:
        """Start a proxy before the server at `target`; return the proxy's URL."""
        faults = self

        class FaultyHandler(_Handler):
            url, client = target, pool

            def next_fault(self) -> Fault | None:
                return faults.next_fault(server_of)

        server, scheme = http_server.Server(("127.0.0.1", 0), FaultyHandler), target.partition(":")[0]
        if scheme == "https":
            server.socket = self._context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"{scheme}://127.0.0.1:{server.server_address[1]}"


class _Handler(http_server.Forwarder):
    """Passes requests on to the server at `url`, unless they fail."""

    def next_fault(self) -> Fault | None:
        """Return how this request fails, or None."""
        raise NotImplementedError

    def answer(self) -> None:
        body, fault = read_body(self.headers, self.rfile), self.next_fault()
        if fault in ("throttled", "error"):
            return self.send(*_refusal(fault, self.headers, self.url))
        if fault == "silence":
            self._wait_for_client()
        if fault in ("silence", "cut off"):
            return self._cut()
        answer = self.forward(body)
        if fault == "answer held" and self.command not in ("GET", "HEAD"):
            self._wait_for_client()
            return self._cut()
        if fault == "answer lost":
            return self._cut()
        self.send(answer.status, answer.headers, answer.data)

    def _wait_for_client(self) -> None:
        select.select([self.connection], [], [], SILENT_SECONDS)  # readable once the client gives up

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _refusal(fault: Fault, headers: Message, target: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body by which the service at `target` throttles a request, or fails."""
    throttled = fault == "throttled"
    kind = headers.get("content-type") or ""
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
