"""A fault of the page itself: the terminal gets its traceback, and browsers get one sentence."""

from __future__ import annotations

import traceback

FAULT = "this is a fault of opstrace; the traceback stands in the terminal of `./opstrace ui`: report it"


def reported(fault: Exception) -> str:
    """Print the traceback of a fault, and return what browsers show of it."""
    traceback.print_exception(fault)
    return FAULT
