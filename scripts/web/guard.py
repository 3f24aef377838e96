"""The first handler of each request: it refuses requests of other sites and of browsers without a session.

The page listens on 127.0.0.1 alone, but each program and each web site in a browser of this machine can send requests there.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scripts.web.sessions import Session, Sessions

LOGIN = "/login"
SAFE_METHODS = ("GET", "HEAD")
READING = ("/refresh", "/instance/check")  # forms that change nothing on a page that is read-only
# Of `Sec-Fetch-Site`, which browsers set and scripts cannot; none is for typed addresses.
OWN_SITES = ("same-origin", "none")
READ_ONLY = "`./opstrace ui` runs with --read-only, so nothing is changed."
OTHER_ORIGIN = "A page of another origin may not send requests to this one.\n"
LONGEST_BODY = 256 << 10  # bytes
CSRF_FIELD = "csrf"
# No script or style stands in a page itself, so none that somebody wrote into a setting is ever run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{nonce}; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With `no-referrer`, browsers would send the origin of forms as `null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
# The cookie has SameSite=Strict: a browser would not send it with a redirect that another site, or a file, began.
LOGGED_IN = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><link rel="icon" href="/static/icon.svg"><title>Opstrace</title><a href="/">Go on</a>'
STALE = (
    "This link was used already, or is not the newest one. The command `./opstrace ui` shows a new link in its terminal "
    "each time one is used: open that one.\n"
)
NO_SESSION = "This browser has no session. Open the newest link that `./opstrace ui` shows in its terminal.\n"


class RefusedError(Exception):
    """A request that is refused, with the status and the text of the answer."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Guard:
    """Passes requests of sessions on to `app`, with the session and the form of the request in its state.

    Args:
        app: The application.
        sessions: Its sessions.
        port: The port of the page.
        read_only: Whether all changes are refused.
        begun: Called after a session has begun.
    """

    def __init__(
        self, app: ASGIApp, *, sessions: Sessions, port: int, read_only: bool, begun: Callable[[], None]
    ) -> None:
        self._app, self._sessions, self._read_only, self._begun = app, sessions, read_only, begun
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.cookie = f"opstrace-{port}"  # cookies belong to a host, whatever the port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":  # the page has no websockets
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS | {"Content-Security-Policy": _policy(scope)})
            await send(message)

        request = Request(scope, receive)
        try:
            self._require_own_site(request)
            if request.url.path == LOGIN:
                await self._login(request)(scope, receive, send_with_headers)
                return
            session = self._session(request)
            scope["state"] = {"session": session, "form": {}}
            if request.method not in SAFE_METHODS:
                scope["state"]["form"] = await self._form(request, session)
        except RefusedError as refused:
            await PlainTextResponse(refused.text, refused.status)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _require_own_site(self, request: Request) -> None:
        """Raise `RefusedError` for a request that was sent to another name, or by a page of another origin."""
        host = request.headers.get("host")
        if host not in self._hosts:  # another name may lead here too: DNS rebinding
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, f"This page is at http://{self._hosts[0]}/.\n")
        # Another port of this host is the same site, which gets the cookie. The first link may come from a file.
        site = request.headers.get("sec-fetch-site", "none")
        if site not in OWN_SITES and request.url.path != LOGIN:
            raise RefusedError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)
        origin = request.headers.get("origin")
        if origin is None and request.method in SAFE_METHODS:
            return
        if origin != f"http://{host}":
            raise RefusedError(HTTPStatus.FORBIDDEN, OTHER_ORIGIN)

    def _login(self, request: Request) -> Response:
        session = self._sessions.begin(request.query_params.get("token", ""))
        if session is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, STALE)
        response = HTMLResponse(LOGGED_IN)
        response.set_cookie(self.cookie, session.cookie, httponly=True, samesite="strict")
        self._begun()
        return response

    def _session(self, request: Request) -> Session:
        session = self._sessions.of(request.cookies.get(self.cookie))
        if session is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, NO_SESSION)
        return session

    async def _form(self, request: Request, session: Session) -> Mapping[str, str]:
        """Return the fields of a form with the token of the session; raises `RefusedError` for any other request."""
        if self._read_only and request.url.path not in READING:
            raise RefusedError(HTTPStatus.FORBIDDEN, f"{READ_ONLY}\n")
        form = dict(parse_qsl((await _body(request)).decode("utf-8", "replace"), keep_blank_values=True))
        if not secrets.compare_digest(form.pop(CSRF_FIELD, "").encode(), session.csrf.encode()):
            raise RefusedError(HTTPStatus.FORBIDDEN, "The form belongs to another session. Load the page again.\n")
        return form


def _policy(scope: Scope) -> str:
    """Return the policy of an answer. A view whose scripts write styles into the page sets a nonce for them."""
    nonce = scope.get("state", {}).get("style_nonce")
    return POLICY.format(nonce=f" 'nonce-{nonce}'" if nonce else "")


async def _body(request: Request) -> bytes:
    """Return the body of a form; raises `RefusedError` where it is too long, or no form."""
    kind = Headers(scope=request.scope).get("content-type", "").partition(";")[0]  # scripts append the charset
    if kind != "application/x-www-form-urlencoded":
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only forms are accepted.\n")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The form is longer than {LONGEST_BODY} bytes.\n")
    return body
