"""Numbered lines of a pod, as the system tenant's Loki returns them."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from components.core.names import SYSTEM
from tests.support.user_session import UserSession, url
from tests.support.writer_pod import WriterPod, run_and_number

LINES_ASKED = 5000  # Loki's default maximum for a query
SPAN = 4 * 10**9  # nanoseconds, with fewer lines than that
BEGIN_CHARACTERS = 32  # of a line: the run and the number
WHOLE = r"^\d+ \d+ x"  # no line that ends there, where a node lost its power


@dataclass(frozen=True)
class Comparison:
    """What a writer has written, as the last number of each run, and how often Loki returns each number of each run."""

    written: Mapping[str, int]
    returned: Mapping[str, Counter[int]]

    def missing(self) -> list[tuple[str, int]]:
        """Return the run and the number of each line that Loki does not return."""
        return [
            (run, number)
            for run, last in self.written.items()
            for number in range(1, last + 1)
            if number not in self.returned.get(run, ())
        ]

    def __str__(self) -> str:
        written, distinct = sum(self.written.values()), sum(map(len, self.returned.values()))
        again = sum(numbers.total() for numbers in self.returned.values()) - distinct
        return (
            f"{written:,} lines written, {len(self.missing()):,} of them missing; "
            f"{distinct:,} found, {again:,} of them twice"
        )


def compared(walk: UserSession, writer: WriterPod) -> Comparison:
    """Read all lines of a writer from Loki."""
    query = f"{_selector(writer)} |~ `{WHOLE}` | line_format `{{{{ __line__ | trunc {BEGIN_CHARACTERS} }}}}`"
    numbers = defaultdict[str, Counter[int]](Counter)
    for start in range(_nanoseconds(writer.began), time.time_ns(), SPAN):
        for run, number in map(run_and_number, _lines(walk, query, start, start + SPAN)):
            numbers[run][number] += 1
    return Comparison(writer.written(), numbers)


def newest(walk: UserSession, writer: WriterPod) -> float:
    """Return when the newest line in Loki was written, in seconds of `time.time`; 0 without any."""
    streams = _streams(walk, query=_selector(writer), limit=1, start=_nanoseconds(writer.began))
    return max((int(when) / 1e9 for stream in streams for when, _ in stream["values"]), default=0.0)


def _selector(writer: WriterPod) -> str:
    return f'{{k8s_namespace_name="{writer.namespace}"}}'


def _lines(walk: UserSession, query: str, start: int, end: int) -> Iterator[str]:
    """Yield the lines of a time. If it has more than Loki returns at once, read its halves."""
    streams = _streams(walk, query=query, limit=LINES_ASKED, start=start, end=end)
    lines = [line for stream in streams for _, line in stream["values"]]
    if len(lines) < LINES_ASKED:
        yield from lines
    else:
        middle = (start + end) // 2
        yield from _lines(walk, query, start, middle)
        yield from _lines(walk, query, middle, end)


def _streams(walk: UserSession, **query: str | int) -> list[dict[str, Any]]:
    """Return Loki's answer to a query; empty while it does not answer."""
    address = f"{url('loki', SYSTEM, '/loki/api/v1/query_range')}?{urlencode(query)}"
    status, text = walk.curl(address, token=walk.token(SYSTEM))
    return list(json.loads(text)["data"]["result"]) if status == 200 else []


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
