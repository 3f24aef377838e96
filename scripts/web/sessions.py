"""Who may use the page: a one-time token in a URL is exchanged for a cookie."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass

TOKEN_BYTES = 32
MOST_SESSIONS = 100  # the oldest ends when another begins


@dataclass(frozen=True)
class Session:
    """A browser that may use the page: the value of its cookie, and the token of its forms."""

    cookie: str
    csrf: str


class Sessions:
    """The sessions of a page, and the one-time token of the next one. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_cookie: dict[str, Session] = {}
        self._token = secrets.token_urlsafe(TOKEN_BYTES)

    @property
    def token(self) -> str:
        """The token that begins the next session. It changes when it is used."""
        return self._token

    def begin(self, token: str) -> Session | None:
        """Return a new session for the current token; None for any other token."""
        with self._lock:
            if not secrets.compare_digest(token.encode(), self._token.encode()):
                return None
            self._token = secrets.token_urlsafe(TOKEN_BYTES)
            session = Session(secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES))
            if len(self._by_cookie) == MOST_SESSIONS:
                del self._by_cookie[next(iter(self._by_cookie))]
            self._by_cookie[session.cookie] = session
            return session

    def of(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie's value; None where there is none."""
        return self._by_cookie.get(cookie) if cookie else None
