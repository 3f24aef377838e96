"""Downloads over HTTP: whole files alone, over TLS where the first address has it."""

import hashlib
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from localcloud.toolchain.sources import UnavailableError

TIMEOUT_SECONDS = 30
BLOCK_BYTES = 1 << 20
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


def download(url: str, into: Path) -> str:
    """Write the file at `url` to `into`; return its SHA-256 in hex.

    Raises `UnavailableError` where the server cannot be reached, has no such file, sends a page of HTML in its place, or ends
    too early.
    """
    try:
        with build_opener(_Redirects).open(url, timeout=TIMEOUT_SECONDS) as answer, into.open("wb") as file:
            return _copy(url, answer, file)
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


def _copy(url: str, answer: HTTPResponse, file: IO[bytes]) -> str:
    digest, received, expected = hashlib.sha256(), 0, answer.length
    while block := answer.read(BLOCK_BYTES):
        if not received and _is_page(answer.headers, block):
            raise UnavailableError(
                f"{url} answered with a page of HTML in place of the file; a proxy or a sign-in page may answer for it"
            )
        received += len(block)
        digest.update(block)
        file.write(block)
    if expected is not None and received < expected:
        raise UnavailableError(f"{url} ended after {received} of {expected} bytes")
    return digest.hexdigest()


def _is_page(headers: HTTPMessage, block: bytes) -> bool:
    return headers.get_content_type() == "text/html" or block.lstrip()[:20].lower().startswith(PAGE_STARTS)
