"""Waiting for what takes its time, as short as it may and as long as a busy machine needs."""

import time
from collections.abc import Callable


def eventually(
    check: Callable[[], bool], seconds: float = 60, pause: float = 0.5, told: Callable[[], object] = str
) -> float:
    """Ask `check` until it says yes, and return the seconds that it took; fails where it does not within `seconds`.

    `told` returns what else the failure is to say.
    """
    started = time.monotonic()
    while not check():
        assert time.monotonic() < started + seconds, f"not so after {seconds} s {told()}"
        time.sleep(pause)
    return time.monotonic() - started
