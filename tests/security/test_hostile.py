"""Every row of the tables gets its answer, and nothing arrives at a back end that should not."""

import base64
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.names import Api
from tests.e2e.walk import DOMAIN, PORT, Walk, url
from tests.security import framing, headers, paths, tokens
from tests.security.case import ARRIVES, LABELS, Case, Http2, Row
from tests.security.conftest import BackEnds
from tests.security.forge import Forgery, Keys
from tests.security.wire import Answer, Door

TABLES: dict[str, Sequence[Row]] = {
    "tokens": tokens.TABLE,
    "headers": headers.TABLE,
    "paths": paths.TABLE,
    "framing": framing.TABLE,
    "HTTP/2": framing.HTTP2,
}
AT_ONCE = 16  # most of them wait
QUIET_SECONDS = 1.0
APIS: tuple[Api, ...] = ("cortex", "loki")


class Attack:
    """Sends rows, as `Case` says, and tells what was answered."""

    def __init__(self, walk: Walk, keys: Keys, back_ends: BackEnds) -> None:
        self._keys, self._back_ends = keys, back_ends
        self._doors = {api: Door(f"{api}.default.{DOMAIN}", PORT, walk.ca) for api in APIS}
        good = [Case("good", ARRIVES, api=api) for api in APIS]
        self._plain: dict[Api, Answer] = {}
        self._counts: dict[Api, int] = {}  # Loki asks itself once more: its frontend its querier
        for case in good:
            before = back_ends.settled()
            self._plain[case.api] = self.answers(case)[0]
            self._counts[case.api] = back_ends.settled() - before
        assert {status for status, _ in self._plain.values()} == {200} and min(self._counts.values()) > 0

    def wanted(self, row: Row) -> list[Answer]:
        """Return the answers that a row is to get."""
        return [self._plain[row.api] if answer is ARRIVES else answer for answer in _listed(row)]

    def arriving(self, rows: Sequence[Row]) -> range:
        """Return how much the back ends may count when `rows` are sent."""
        least = sum(self._counts[row.api] * _listed(row).count(ARRIVES) for row in rows)
        return range(least, least + sum(self._counts[row.api] * row.perhaps for row in rows) + 1)

    def answers(self, row: Row) -> list[Answer]:
        """Send a row, and return what is answered."""
        door = self._doors[row.api]
        words = {"HOST": door.name, "DOMAIN": DOMAIN, "GOOD": self._keys.token(Forgery())}
        words["TOKEN"] = self._keys.token(row.token)
        words["BASIC"] = base64.b64encode(f"anybody:{words['GOOD']}".encode()).decode()

        def text(template: str) -> str:
            for word, meaning in words.items():
                template = template.replace(word, meaning)
            return template

        if isinstance(row, Http2):
            return door.http2(self._fields(row, text), row.body.encode())
        if not row.raw:
            return door.one(_whole(row, text))
        return door.raw([text(part).encode() for part in row.raw], len(_listed(row)), QUIET_SECONDS)

    def _fields(self, row: Http2, text) -> list[tuple[bytes, bytes]]:
        fields = [(":method", "GET"), (":scheme", "https"), (":authority", "HOST"), (":path", LABELS[row.api])]
        fields.append(("authorization", "Bearer TOKEN"))
        known = {name for name, _ in fields}
        for name, value in row.fields:
            if name in known:
                fields = [(old, value if old == name else there) for old, there in fields]
            else:
                fields.append((name.removeprefix("+"), value))
        return [(name.encode(), text(value).encode()) for name, value in fields if value is not None]


def _listed(row: Row) -> list[Answer]:
    return [row.answers] if isinstance(row.answers, tuple) else [*row.answers]


def _whole(case: Case, text) -> bytes:
    lines = [f"{case.method} {case.target or LABELS[case.api]} HTTP/1.1", f"Host: {case.host}", *case.headers]
    if not any(line.startswith("Connection:") for line in case.headers):
        lines.append("Connection: close")
    if case.body or case.method in ("POST", "PUT", "PATCH", "DELETE"):
        lines.append(f"Content-Length: {len(text(case.body))}")
    return ("\r\n".join(map(text, lines)) + "\r\n\r\n" + text(case.body)).encode()


@pytest.fixture(scope="module")
def attack(walk: Walk, keys: Keys, back_ends: BackEnds) -> Attack:
    line = {"stream": {"job": "of-default"}, "values": [[str(time.time_ns()), "x"]]}
    pushed = ["-H", "Content-Type: application/json", "-d", json.dumps({"streams": [line]})]
    assert walk.curl(url("loki", "default", "/loki/api/v1/push"), *pushed, token=keys.token(Forgery()))[0] == 204
    made = Attack(walk, keys, back_ends)
    assert "job" in made.wanted(Case("", ARRIVES, api="loki"))[0][1]  # it can be told from another tenant's
    return made


def _parted(rows: Sequence[Row], attack: Attack) -> list[list[Row]]:
    """Return those of which nothing may arrive, those of which it is known how much arrives, and the others."""
    parts: list[list[Row]] = [[], [], []]
    for row in rows:
        parts[2 if row.perhaps else attack.arriving([row]) != range(1)].append(row)
    return parts


def _culprits(rows: Sequence[Row], attack: Attack, back_ends: BackEnds) -> list[str]:
    """Return the names of those rows of which more, or less, arrives than should; one after the other."""
    found = []
    for row in rows:
        before = back_ends.settled()
        attack.answers(row)
        if back_ends.settled() - before not in attack.arriving([row]):
            found.append(row.name)
    return found


@pytest.mark.parametrize("table", TABLES)
def test_hostile_requests_get_their_answers_and_do_not_arrive(attack: Attack, back_ends: BackEnds, table: str) -> None:
    # Apart, so that one request that arrives and should not is not made up for by one that should and does not.
    for rows in _parted(TABLES[table], attack):
        before, others = back_ends.settled(), back_ends.seen("system")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            given = dict(zip((row.name for row in rows), pool.map(attack.answers, rows), strict=True))
        arrived = back_ends.settled() - before
        wrong = {
            row.name: (given[row.name], attack.wanted(row)) for row in rows if given[row.name] != attack.wanted(row)
        }
        assert not wrong, "\n".join(f"{name}: {got} in place of {wanted}" for name, (got, wanted) in wrong.items())
        assert arrived in attack.arriving(rows), _culprits(rows, attack, back_ends)
        assert back_ends.seen("system") == others


def test_the_tables_are_large_and_name_each_row_once() -> None:
    names = [(table, row.name) for table, rows in TABLES.items() for row in rows]
    assert len({*names}) == len(names) >= 150
