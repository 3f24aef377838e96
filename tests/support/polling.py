"""Waiting for a condition: as short as possible, and long enough for a busy machine."""

import time
from collections.abc import Callable


def eventually(
    check: Callable[[], bool], seconds: float = 60, pause: float = 0.5, detail: Callable[[], object] = str
) -> float:
    """Wait until `check` returns True, and return the seconds that it took; fail after `seconds`.

    `detail` returns a text for the failure message.
    """
    started = time.monotonic()
    while not check():
        assert time.monotonic() < started + seconds, f"still not true after {seconds} s {detail()}"
        time.sleep(pause)
    return time.monotonic() - started
