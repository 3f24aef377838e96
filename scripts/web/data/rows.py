"""The rows of the list as HTML: each is made once from the same values, and sent once to each browser.

A browser takes long to build a thousand rows. So an answer has only those that differ from what the browser shows.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_ANSWERS = 200  # that are remembered: two of each browser
SHOWN = '<tr id="tenant-{}" data-shown></tr>\n'  # in place of a row that the browser shows


@dataclass(frozen=True)
class _Row:
    values: Mapping[str, Any]
    html: str
    number: int  # of this row with these values alone


class Rows:
    """The rows of the list. Threads may share them.

    Args:
        render: Returns the HTML of a row with these values.
    """

    def __init__(self, render: Callable[[Mapping[str, Any]], str]) -> None:
        self._render = render
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._made: dict[str, _Row] = {}  # by tenant
        self._sent: OrderedDict[str, Mapping[str, int]] = OrderedDict()  # by mark: the numbers of an answer's rows

    def html(self, values: Mapping[str, Mapping[str, Any]], shown: str | None, *, are_all: bool) -> tuple[str, str]:
        """Return rows, whose values are given by tenant, and the mark of this answer.

        `shown` is the mark of the answer that the browser shows; None for none. Its rows are left out but for their ids.
        If the values `are_all`, other tenants are forgotten.
        """
        with self._lock:
            if are_all:
                self._made = {tenant: row for tenant, row in self._made.items() if tenant in values}
            rows = {tenant: self._row(tenant, one) for tenant, one in values.items()}
            numbers = {tenant: row.number for tenant, row in rows.items()}
            before = self._sent.get(shown, {}) if shown else {}
            mark = self._remember(shown if shown and before == numbers != {} else secrets.token_hex(8), numbers)
        parts = (
            SHOWN.format(escape(name)) if before.get(name) == row.number else row.html for name, row in rows.items()
        )
        return "".join(parts), mark

    def _row(self, tenant: str, values: Mapping[str, Any]) -> _Row:
        row = self._made.get(tenant)
        if row is None or row.values != values:
            row = self._made[tenant] = _Row(values, self._render(values), next(self._numbers))
        return row

    def _remember(self, mark: str, numbers: Mapping[str, int]) -> str:
        self._sent[mark] = numbers
        self._sent.move_to_end(mark)
        while len(self._sent) > MOST_ANSWERS:
            self._sent.popitem(last=False)
        return mark
