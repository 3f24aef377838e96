"""Work in a thread of its own: at the start, on request, and in rounds while browsers look."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scripts.web.fault import reported

if TYPE_CHECKING:
    from collections.abc import Callable


class Rounds:
    """Does work in a thread.

    Args:
        name: The name of the thread.
        seconds: The time between two rounds.
        work: The work. What it raises ends a round, and the next one tries again.
        is_watched: Tells whether browsers look. Otherwise, only a request begins a round.
    """

    def __init__(self, name: str, seconds: float, work: Callable[[], None], is_watched: Callable[[], bool]) -> None:
        self._seconds, self._work, self._is_watched = seconds, work, is_watched
        self._wanted, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin with a round."""
        self._wanted.set()
        self._thread.start()

    def request(self) -> None:
        """Do a round soon."""
        self._wanted.set()

    def stop(self) -> None:
        """Do no further round."""
        self._ended.set()
        self._wanted.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            is_wanted = self._wanted.wait(self._seconds)
            self._wanted.clear()
            if not self._ended.is_set() and (is_wanted or self._is_watched()):
                self._do()

    def _do(self) -> None:
        try:
            self._work()
        except Exception as fault:
            reported(fault)
