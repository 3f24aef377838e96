"""A server of releases on loopback: each release of the catalog in its own layout, with its publisher's list of checksums."""

import hashlib
import io
import ssl
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from localcloud.toolchain import catalog
from localcloud.toolchain.releases import Release
from localcloud.toolchain.store import Tool
from tests.support.http_server import Handler, Server

PROGRAM = b"#!/bin/sh\necho official\n"
PAGE = b"\n<!DOCTYPE html>\n<html><body>Sign in to the guest network</body></html>\n"

RELEASED = tuple(
    tool
    for tool in (*catalog.ENGINE, *catalog.NODE, *catalog.SERVICES)
    if any(isinstance(source, Release) for source in tool.sources)
)


def tar(programs: Mapping[str, bytes], *, compress: bool = True) -> bytes:
    """Return a .tar.gz with the programs by their paths, and a file of another kind."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz" if compress else "w") as archive:
        for path, content in {**programs, "LICENSE": b"free"}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def _zip(programs: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, content in programs.items():
            archive.writestr(path, content)
    return data.getvalue()


def release_of(tool: Tool) -> Release:
    """Return the official release of a tool."""
    return next(source for source in tool.sources if isinstance(source, Release))


def file_of(release: Release) -> bytes:
    """Return a file in the layout of a release."""
    programs = dict.fromkeys(release.programs.values(), PROGRAM)
    if "" in programs:
        return PROGRAM
    return _zip(programs) if release.name.endswith(".zip") else tar(programs)


def list_of(release: Release, content: bytes) -> bytes:
    """Return a list with the checksum of `content`, in the form of the release's publisher."""
    digest = hashlib.sha256(content).hexdigest()
    if (release.listed or "").endswith(
        ("-sha-256", ".tar.gz.sha256")
    ):  # Cortex and Kubernetes: nothing but the checksum
        return f"{digest}\n".encode()
    return f"{'0' * 64}  another-{release.name}\n{digest}  {release.name}\n{'1' * 64}  {release.name}.sbom\n".encode()


class Answer(Handler):
    """Answers what `Releases.answers` has for the path."""

    def answer(self) -> None:
        """Answer a request, and record its path."""
        server = self.server
        assert isinstance(server, Releases)
        server.requested.append(self.path)
        server.answers.get(self.path, missing)(self)

    def send(self, status: int, body: bytes, **headers: object) -> None:
        """Send an answer and end the connection."""
        self.send_response(status)
        for name, value in {"content_length": len(body), "connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


Sends = Callable[[Answer], None]


def whole(body: bytes) -> Sends:
    """Return what sends a file."""
    return lambda answer: answer.send(200, body, content_type="application/octet-stream")


def missing(answer: Answer) -> None:
    """Answer that there is no such file."""
    answer.send(404, b"<Error><Code>NoSuchKey</Code></Error>", content_type="application/xml")


def cut(body: bytes) -> Sends:
    """Return what ends in the middle of a file whose length it has told."""
    return lambda answer: answer.send(200, body[: len(body) // 2], content_length=len(body))


def cut_chunks(body: bytes) -> Sends:
    """Return what ends in the middle of a file that comes in chunks."""

    def send(answer: Answer) -> None:
        answer.send_response(200)
        answer.send_header("transfer-encoding", "chunked")
        answer.end_headers()
        answer.wfile.write(b"%x\r\n%b" % (len(body), body[: len(body) // 2]))
        answer.close_connection = True

    return send


def trickle(start: bytes, pieces: Iterable[bytes], pause: float = 0.05) -> Sends:
    """Return what sends the status, then `start`, then each piece after a pause in seconds, then ends."""

    def send(answer: Answer) -> None:
        answer.wfile.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + start)
        for piece in pieces:
            time.sleep(pause)
            answer.wfile.write(piece)
        answer.close_connection = True

    return send


def redirect(to: str) -> Sends:
    """Return what redirects to another address."""
    return lambda answer: answer.send(302, b"", location=to)


class Releases(Server):
    """The server: what it answers by path, and the paths that were requested."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.answers: dict[str, Sends] = {}
        self.requested: list[str] = []
        self.scheme = "https" if tls else "http"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def moved(self, release: Release) -> Release:
        """Return a release of the catalog at this server's address."""
        listed = f"{self.url}{urlsplit(release.listed).path}" if release.listed else None
        return replace(release, url=f"{self.url}{urlsplit(release.url).path}", listed=listed)

    def serve(self, url: str, sends: Sends) -> None:
        """Answer requests of `url`."""
        self.answers[urlsplit(url).path] = sends


@contextmanager
def serving(server: Releases) -> Iterator[Releases]:
    """Run a server until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
