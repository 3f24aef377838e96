"""What is asked of others for many tenants, several at a time: each answer is waited for, and few are work here."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8

One = TypeVar("One")
Answer = TypeVar("Answer")


def for_each(ask: Callable[[One], Answer], these: Iterable[One]) -> list[Answer]:
    """Return what `ask` returns for each of these, in their order; raises what it raised for the first that it did for."""
    with ThreadPoolExecutor(AT_ONCE) as askers:
        return list(askers.map(ask, these))
