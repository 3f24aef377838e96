"""A server on loopback that shows a certificate."""

import re
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_httpserver import HTTPServer
from werkzeug import Response

from localcloud.certificate_authority import write_pair


@contextmanager
def served(folder: Path, pair: tuple[bytes, bytes], body: Iterable[bytes] = ()) -> Iterator[int]:
    """Serve a certificate on loopback, and answer every request with 200 and the parts of a body; yields the port."""
    write_pair(folder / "server", pair)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    with HTTPServer("127.0.0.1", 0, ssl_context=context) as server:
        server.expect_request(re.compile("")).respond_with_handler(lambda _: Response(body))
        yield server.port
