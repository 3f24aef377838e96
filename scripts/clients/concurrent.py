"""Requests for many tenants, several at a time. Most of their time is waiting for answers."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

MOST_REQUESTS = 8  # at a time

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def map_concurrently(
    request: Callable[[Item], Answer], items: Iterable[Item], most: int = MOST_REQUESTS
) -> list[Answer]:
    """Return the answers to `request` for each item, in their order; raises the first error in that order.

    `most` are sent at a time.
    """
    with ThreadPoolExecutor(most) as threads:
        return list(threads.map(request, items))
