"""Numbered lines of a pod, as the system tenant's Loki returns them."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.support.queries import LINES, QueryError, asked, lines_of, result
from tests.support.user_session import UserSession
from tests.support.writer_pod import Span, WriterPod, run_and_number

LINES_ASKED = 5000  # Loki's default maximum for a query
PERIOD = 4 * 10**9  # nanoseconds, with fewer lines than that
BEGIN_CHARACTERS = 32  # of a line: the run and the number
WHOLE = r"^\d+ \d+ x"  # no line that ends there, where a node lost its power


@dataclass(frozen=True)
class Comparison:
    """What a writer has written, as the last number of each run, and how often Loki returns each number of each run.

    Attributes:
        written: The last number of each run.
        returned: How often Loki returned each number of each run.
        failures: The answers to queries that failed: what they asked for is not in `returned`.
    """

    written: Mapping[str, int]
    returned: Mapping[str, Counter[int]]
    failures: Sequence[str] = ()

    def missing(self) -> list[Span]:
        """Return the lines that Loki does not return."""
        gaps: list[Span] = []
        for run, last in self.written.items():
            found = {number for number in self.returned.get(run, ()) if number <= last}
            gaps += [
                Span(run, before + 1, after - 1)
                for before, after in pairwise(sorted({0, *found, last + 1}))
                if before + 1 < after
            ]
        return gaps

    def __str__(self) -> str:
        written, distinct = sum(self.written.values()), sum(map(len, self.returned.values()))
        again = sum(numbers.total() for numbers in self.returned.values()) - distinct
        missing = sum(gap.last - gap.first + 1 for gap in self.missing())
        failed = f"; {len(self.failures)} queries failed, such as {self.failures[0]}" if self.failures else ""
        return f"{written:,} lines written, {missing:,} of them missing; {distinct:,} found, {again:,} of them twice{failed}"


class ReadLines:
    """What Loki returned of the lines of a writer that has ended, by the start of each period."""

    def __init__(self, walk: UserSession, writer: WriterPod) -> None:
        self._walk, self._writer = walk, writer
        self._periods = range(_nanoseconds(writer.began), time.time_ns(), PERIOD)
        self._found: dict[int, Counter[tuple[str, int]]] = {}
        self._due = {*self._periods}

    def compared(self) -> Comparison:
        """Read all periods; at later calls, only those that can have lines that are missing."""
        failures: dict[int, str] = {}
        for start in sorted(self._due):
            try:
                self._found[start] = Counter(map(run_and_number, self._read(start)))
            except QueryError as error:
                failures[start] = str(error)
        numbers = defaultdict[str, Counter[int]](Counter)
        for found in self._found.values():
            for (run, number), count in found.items():
                numbers[run][number] += count
        comparison = Comparison(self._writer.written(), numbers, [*failures.values()])
        self._due = {*failures}.union(*map(self._periods_of, comparison.missing()))
        return comparison

    def _read(self, start: int) -> Iterator[str]:
        query = f"{_selector(self._writer)} |~ `{WHOLE}` | line_format `{{{{ __line__ | trunc {BEGIN_CHARACTERS} }}}}`"
        return _lines(self._walk, query, start, start + PERIOD)

    def _periods_of(self, gap: Span) -> list[int]:
        """Return the periods that can have these lines: a run's lines are in the order of their numbers."""
        before = [start for start, found in self._found.items() if (gap.run, gap.first - 1) in found]
        after = [start for start, found in self._found.items() if (gap.run, gap.last + 1) in found]
        return [start for start in self._periods if min(before, default=0) <= start <= max(after, default=math.inf)]


def newest(walk: UserSession, writer: WriterPod) -> float:
    """Return when the newest line in Loki was written, in seconds of `time.time`; 0 without any."""
    streams = asked(walk, LINES, query=_selector(writer), limit=1, start=_nanoseconds(writer.began))
    return max((int(when) / 1e9 for stream in streams for when, _ in stream["values"]), default=0.0)


def _selector(writer: WriterPod) -> str:
    return f'{{k8s_namespace_name="{writer.namespace}"}}'


def _lines(walk: UserSession, query: str, start: int, end: int) -> Iterator[str]:
    """Yield the lines of a time. If it has more than Loki returns at once, read its halves."""
    lines = lines_of(result(walk, LINES, query=query, limit=LINES_ASKED, start=start, end=end))
    if len(lines) < LINES_ASKED:
        yield from lines
    else:
        middle = (start + end) // 2
        yield from _lines(walk, query, start, middle)
        yield from _lines(walk, query, middle, end)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
