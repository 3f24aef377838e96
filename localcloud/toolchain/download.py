"""Downloads over HTTP: whole files alone, over TLS where the first address has it, and none that trickles."""

import hashlib
import ssl
import threading
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from localcloud.toolchain.sources import UnavailableError

TIMEOUT_SECONDS = 30  # without a byte
WINDOW_SECONDS = 60.0
LEAST_BYTES = 1 << 20  # in each window: about 17 kB/s
BLOCK_BYTES = 1 << 20
PAGE_BYTES = 1 << 10  # of the beginning, in which a page of HTML shows
REDIRECTS = range(300, 400)
PAGE_STARTS = (b"<!doctype html", b"<html")
ALLOWED: Mapping[str, tuple[str, ...]] = {"https": ("https",), "http": ("http", "https")}


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, but none from TLS to an address without it: there, anybody on the way could answer."""

    def redirect_request(  # noqa: PLR0913, PLR0917 the signature of urllib's method
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in ALLOWED[req.type]:
            raise UnavailableError(f"{req.full_url} redirects to {newurl}, which is not {req.type}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Transfer(threading.Thread):
    """A download in a thread of its own, because nothing in the same thread can end a read of a socket that trickles.

    Attributes:
        received: The bytes of the file so far.
        is_given_up: The thread ends at the next bytes. It may wait for them for long, and must not keep the process.
    """

    def __init__(self, url: str, into: Path) -> None:
        super().__init__(daemon=True)
        self._url, self._into = url, into
        self._result: str | Exception = ""
        self.received, self.is_given_up = 0, False

    def run(self) -> None:
        """Fetch the file, and keep its SHA-256 or the error."""
        try:
            with build_opener(_Redirects).open(self._url, timeout=TIMEOUT_SECONDS) as answer:
                self._result = "" if self.is_given_up else self._copy(answer)
        except Exception as error:
            self._result = error

    def result(self) -> str:
        """Return the SHA-256 of the file in hex, or raise the error."""
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def _copy(self, answer: HTTPResponse) -> str:
        url, digest, start, expected = self._url, hashlib.sha256(), b"", answer.length
        with self._into.open("wb") as file:
            while not self.is_given_up and (block := answer.read1(BLOCK_BYTES)):
                if len(start) < PAGE_BYTES:
                    start += block[:PAGE_BYTES]
                    _require_file(url, answer.headers, start)
                self.received += len(block)
                digest.update(block)
                file.write(block)
        if expected is not None and self.received < expected:
            raise UnavailableError(f"{url} ended after {self.received} of {expected} bytes")
        return digest.hexdigest()


def download(url: str, into: Path) -> str:
    """Write the file at `url` to `into`; return its SHA-256 in hex.

    Raises `UnavailableError` where the server cannot be reached, has no such file, sends a page of HTML in its place, ends
    too early, or sends less than `LEAST_BYTES` in `WINDOW_SECONDS`.
    """
    transfer = _Transfer(url, into)
    transfer.start()
    _require_speed(url, transfer)
    try:
        return transfer.result()
    except HTTPError as error:
        reason = (
            "redirects in a circle, or to an address that is no HTTP"
            if error.code in REDIRECTS
            else f"answered {error.code}"
        )
        raise UnavailableError(f"{url} {reason}") from error
    except HTTPException as error:  # a chunked answer that is cut, or no HTTP at all
        raise UnavailableError(f"{url} ended too early, or is no HTTP: {error!r}") from error
    except ValueError as error:  # of urllib and its codecs, for an address that a redirect names
        raise UnavailableError(f"{url} redirects to an address that is none: {error}") from error
    except (URLError, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise UnavailableError(f"{url} cannot be reached: {getattr(error, 'reason', error)}") from error


def _require_speed(url: str, transfer: _Transfer) -> None:
    """Wait until a transfer ends; raises `UnavailableError` once a window brings too few bytes."""
    while transfer.is_alive():
        before = transfer.received
        transfer.join(WINDOW_SECONDS)
        received = transfer.received - before
        if transfer.is_alive() and received < LEAST_BYTES:
            transfer.is_given_up = True
            raise UnavailableError(
                f"{url} is too slow: {received} bytes in {WINDOW_SECONDS:g} s, and at least {LEAST_BYTES} are needed"
            )


def _require_file(url: str, headers: HTTPMessage, start: bytes) -> None:
    """Raise `UnavailableError` where an answer, of which `start` has arrived, is a page of HTML."""
    if headers.get_content_type() == "text/html" or start.lstrip()[:20].lower().startswith(PAGE_STARTS):
        raise UnavailableError(
            f"{url} answered with a page of HTML in place of the file; a proxy or a sign-in page may answer for it"
        )
