"""Waiting for a condition: as short as possible, and long enough for a busy machine. Work that goes on meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


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


@contextmanager
def repeated(work: Callable[[], object], pause: float) -> Iterator[None]:
    """Do `work` again and again, with a pause before each, until the block ends. Its error is raised at the end of the block."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(pause):
            work()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            yield
        finally:
            stop.set()
        running.result()
