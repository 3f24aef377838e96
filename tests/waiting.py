"""Waiting for what takes its time, as short as it may and as long as a busy machine needs."""

import time
from collections.abc import Callable


def eventually(check: Callable[[], bool], seconds: float = 60, pause: float = 0.5) -> None:
    """Ask `check` until it says yes; fails where it does not within some seconds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(pause)
