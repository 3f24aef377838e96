"""What makes a process that lives for seconds quicker."""

import atexit
import gc


def collect_no_garbage() -> None:
    """Turn Python's collector of cyclic garbage off in this process, and for its end too.

    The SDKs' classes are a million objects that stay: to look through them again and again takes as long as to
    declare a tenant, and finds some megabytes (`bench/declare.py`).
    """
    gc.disable()
    atexit.register(gc.freeze)
