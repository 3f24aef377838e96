"""Disabling Python's garbage collector in processes that live for seconds, since it costs more time than it saves memory."""

import atexit
import gc


def disable_garbage_collector() -> None:
    """Disable Python's garbage collector in this process, including its last run at the end.

    The SDKs' classes are a million permanent objects. Traversing them repeatedly takes as long as declaring a tenant,
    and frees a few megabytes (`bench/declare.py`).
    """
    gc.disable()
    atexit.register(gc.freeze)
