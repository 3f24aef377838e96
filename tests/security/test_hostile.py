"""Every row of the tables gets its answer, and reaches the back ends only if it should."""

import base64
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.core.names import Api
from tests.security import framing, headers, paths, tokens
from tests.security.case import ARRIVES, LABELS, Case, Http2, Row
from tests.security.conftest import BackEnds
from tests.support.raw_client import Answer, RawClient
from tests.support.token_variants import Forgery, Keys
from tests.support.user_session import DOMAIN, PORT, UserSession, url

TABLES: dict[str, Sequence[Row]] = {
    "tokens": tokens.TABLE,
    "headers": headers.TABLE,
    "paths": paths.TABLE,
    "framing": framing.TABLE,
    "HTTP/2": framing.HTTP2,
}
AT_ONCE = 16  # requests; most wait
QUIET_SECONDS = 1.0
APIS: tuple[Api, ...] = ("cortex", "loki")


class Attack:
    """Sends the rows of the tables, and returns their answers."""

    def __init__(self, walk: UserSession, keys: Keys, back_ends: BackEnds) -> None:
        self._keys, self._back_ends = keys, back_ends
        self._clients = {api: RawClient(f"{api}.default.{DOMAIN}", PORT, walk.ca) for api in APIS}
        good = [Case("good", ARRIVES, api=api) for api in APIS]
        self._plain: dict[Api, Answer] = {}
        self._counts: dict[Api, int] = {}  # more than one for Loki, whose frontend calls its querier
        for case in good:
            before = back_ends.settled()
            self._plain[case.api] = self.answers(case)[0]
            self._counts[case.api] = back_ends.settled() - before
        assert {status for status, _ in self._plain.values()} == {200} and min(self._counts.values()) > 0

    def client(self, api: Api) -> RawClient:
        """Return the client for a tenant's host."""
        return self._clients[api]

    def expected(self, row: Row) -> list[Answer]:
        """Return the answers that a row should get."""
        return [self._plain[row.api] if answer is ARRIVES else answer for answer in _listed(row)]

    def arriving(self, rows: Sequence[Row]) -> range:
        """Return the range of requests that the back ends may count for `rows`."""
        least = sum(self._counts[row.api] * _listed(row).count(ARRIVES) for row in rows)
        return range(least, least + sum(self._counts[row.api] * row.perhaps for row in rows) + 1)

    def answers(self, row: Row) -> list[Answer]:
        """Send a row, and return its answers."""
        client = self._clients[row.api]
        words = {"HOST": client.name, "DOMAIN": DOMAIN, "GOOD": self._keys.token(Forgery())}
        words["TOKEN"] = self._keys.token(row.token)
        for word, end in (("BASIC_LINE", "\r\n"), ("BASIC_HEADER", "\r\nX-Scope-OrgID: system"), ("BASIC", "")):
            words[word] = base64.b64encode(f"anybody:{words['GOOD']}{end}".encode()).decode()

        def text(template: str) -> str:
            for word, value in words.items():
                template = template.replace(word, value)
            return template

        if isinstance(row, Http2):
            return client.http2(self._fields(row, text), row.body.encode())
        if not row.raw:
            return client.one(_whole(row, text))
        return client.raw([text(part).encode() for part in row.raw], len(_listed(row)), QUIET_SECONDS)

    def _fields(self, row: Http2, text: Callable[[str], str]) -> list[tuple[bytes, bytes]]:
        fields: list[tuple[str, str | None]] = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "HOST"),
            (":path", LABELS[row.api]),
        ]
        fields.append(("authorization", "Bearer TOKEN"))
        names = {name for name, _ in fields}
        for name, value in row.fields:
            if name in names:
                fields = [(field, value if field == name else former) for field, former in fields]
            else:
                fields.append((name.removeprefix("+"), value))
        return [(name.encode(), text(value).encode()) for name, value in fields if value is not None]


def _listed(row: Row) -> list[Answer]:
    return [row.answers] if isinstance(row.answers, tuple) else [*row.answers]


def _whole(case: Case, text: Callable[[str], str]) -> bytes:
    lines = [f"{case.method} {case.target or LABELS[case.api]} HTTP/1.1", f"Host: {case.host}", *case.headers]
    if not any(line.startswith("Connection:") for line in case.headers):
        lines.append("Connection: close")
    if case.body or case.method in ("POST", "PUT", "PATCH", "DELETE"):
        lines.append(f"Content-Length: {len(text(case.body))}")
    return ("\r\n".join(map(text, lines)) + "\r\n\r\n" + text(case.body)).encode()


@pytest.fixture(scope="module")
def attack(walk: UserSession, keys: Keys, back_ends: BackEnds) -> Attack:
    line = {"stream": {"job": "of-default"}, "values": [[str(time.time_ns()), "x"]]}
    pushed = ["-H", "Content-Type: application/json", "-d", json.dumps({"streams": [line]})]
    assert walk.curl(url("loki", "default", "/loki/api/v1/push"), *pushed, token=keys.token(Forgery()))[0] == 204
    attack = Attack(walk, keys, back_ends)
    assert "job" in attack.expected(Case("", ARRIVES, api="loki"))[0][1]  # so it differs from another tenant's answer
    return attack


def _grouped(rows: Sequence[Row], attack: Attack) -> list[list[Row]]:
    """Return three groups: rows that must not arrive, rows with a known number of arrivals, and all other rows."""
    parts: list[list[Row]] = [[], [], []]
    for row in rows:
        parts[2 if row.perhaps else attack.arriving([row]) != range(1)].append(row)
    return parts


def _culprits(rows: Sequence[Row], attack: Attack, back_ends: BackEnds) -> list[str]:
    """Send the rows one after the other, and return the names of those with a wrong number of arrivals."""
    culprits = []
    for row in rows:
        before = back_ends.settled()
        attack.answers(row)
        if back_ends.settled() - before not in attack.arriving([row]):
            culprits.append(row.name)
    return culprits


@pytest.mark.parametrize("table", TABLES)
def test_hostile_requests_get_their_answers_and_do_not_arrive(attack: Attack, back_ends: BackEnds, table: str) -> None:
    # In groups, so that a wrong arrival and a missing one do not add up to the right count.
    for rows in _grouped(TABLES[table], attack):
        before, others = back_ends.settled(), back_ends.seen("system")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = dict(zip((row.name for row in rows), pool.map(attack.answers, rows), strict=True))
        arrived = back_ends.settled() - before
        wrong = {
            row.name: (answers[row.name], attack.expected(row))
            for row in rows
            if answers[row.name] != attack.expected(row)
        }
        assert not wrong, "\n".join(
            f"{name}: {answer} in place of {expected}" for name, (answer, expected) in wrong.items()
        )
        assert arrived in attack.arriving(rows), _culprits(rows, attack, back_ends)
        assert back_ends.seen("system") == others


@pytest.mark.parametrize("api", APIS)
def test_no_client_is_offered_http_2(attack: Attack, api: Api) -> None:
    assert attack.client(api).application_protocol() is None


def test_the_tables_are_large_and_name_each_row_once() -> None:
    names = [(table, row.name) for table, rows in TABLES.items() for row in rows]
    assert len({*names}) == len(names) >= 150
