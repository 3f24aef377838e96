"""An S3 server that a test lets refuse requests, as after a change of a role or of a bucket's policy."""

import threading

import urllib3

from tests.support import http_server
from tests.support.http_server import read_body

DELETIONS = ("DELETE",)
READS = ("GET", "HEAD")
WRITES = ("PUT", "POST")
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class RefusingS3:
    """A proxy on loopback before the S3 server at `target`.

    It answers 403 to requests with one of the methods in `refused`.
    """

    def __init__(self, target: str) -> None:
        self.refused: tuple[str, ...] = ()
        proxy, pool = self, urllib3.PoolManager(retries=False, maxsize=64)

        class S3Handler(http_server.Forwarder):
            url, client = target, pool

            def answer(self) -> None:
                body = read_body(self.headers, self.rfile)
                if self.command in proxy.refused:
                    denied = b"" if self.command == "HEAD" else DENIED
                    return self.send(403, {"content-type": "application/xml"}, denied)
                answer = self.forward(body)
                self.send(answer.status, answer.headers, answer.data)

        self._server = http_server.Server(("127.0.0.1", 0), S3Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """End the proxy."""
        self._server.shutdown()
        self._server.server_close()
