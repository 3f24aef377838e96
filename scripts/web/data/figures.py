"""Series and rates of all tenants, from the system tenant. One query asks for all tenants."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from components.core.errors import UserError
from components.core.names import SYSTEM
from components.core.units import HOUR
from scripts.dashboards.expressions import LINES_BY_TENANT, RATE, SAMPLES_BY_TENANT, SERIES_BY_TENANT
from scripts.web.data.availability import why_no_metrics
from scripts.web.data.plots import plot
from scripts.web.fault import reported
from scripts.web.queries import answer_in
from scripts.web.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.web.data.plots import Plot
    from scripts.web.queries import Queries
    from scripts.web.subject import Subject

Kind = Literal["series", "samples", "lines"]
ROUND_SECONDS = 30
STEP_SECONDS = 180  # between two points of a sparkline
RATES: Mapping[Kind, str] = {"series": SERIES_BY_TENANT, "samples": SAMPLES_BY_TENANT, "lines": LINES_BY_TENANT}
NOT_READ = "The system tenant is being asked."
NOTHING = (
    "The system tenant has no metrics of tenants of the last hour: `./opstrace status` tells how old its data is. "
    "If `opstrace:collectors` changed in the stack file since the last update, apply it first."
)


@dataclass(frozen=True)
class Figures:
    """What a tenant has and sends; None for what the system tenant does not have.

    Attributes:
        series: Its series in memory.
        samples: Its samples each second.
        lines: Its lines each second.
    """

    series: Plot | None = None
    samples: Plot | None = None
    lines: Plot | None = None


NONE = Figures()


class FiguresOfTenants:
    """The figures of all tenants, read in rounds while browsers look.

    Attributes:
        version: Grows whenever they change.
        read_at: When series and rates were read, in seconds since the epoch; None before.
        why: Why there are none, or why they are old; None where they are fresh.
    """

    def __init__(self, subject: Subject, queries: Queries, is_watched: Callable[[], bool]) -> None:
        self.version = 0
        self.read_at: float | None = None
        self.why: str | None = NOT_READ
        self._subject, self._queries = subject, queries
        self._by_tenant: Mapping[str, Figures] = {}
        self._rounds = Rounds("figures of tenants", ROUND_SECONDS, self.read, is_watched)
        self.start, self.stop = self._rounds.start, self._rounds.stop

    def of(self, tenant: str) -> Figures:
        """Return the figures of a tenant."""
        return self._by_tenant.get(tenant, NONE)

    def refresh_if_old(self) -> None:
        """Read them soon if no browser looked for a while."""
        if time.time() - (self.read_at or 0) > ROUND_SECONDS:
            self._rounds.request()

    def read(self) -> None:
        """Read them once. An error is kept as the reason."""
        before = self._shown
        try:
            why = why_no_metrics(self._subject, self._queries)
            if why is None:
                self._by_tenant = self._asked()
                self.read_at = time.time()
                why = None if self._by_tenant else NOTHING
            self.why = why  # at the end: without a reason, the list says that nothing is scraped
        except UserError as error:
            self.why = str(error)
        except Exception as fault:
            self.why = reported(fault)
        if self._shown != before:
            self.version += 1

    @property
    def _shown(self) -> tuple[object, ...]:
        return self._by_tenant, self.why

    def _asked(self) -> Mapping[str, Figures]:
        end = time.time()
        plots = {kind: self._plots(expression, end) for kind, expression in RATES.items()}
        names = {name for by_tenant in plots.values() for name in by_tenant}
        return {
            name: Figures(plots["series"].get(name), plots["samples"].get(name), plots["lines"].get(name))
            for name in names
        }

    def _plots(self, expression: str, end: float) -> dict[str, Plot]:
        start = end - HOUR
        query = {"query": expression.replace(RATE, "[5m]"), "start": start, "end": end, "step": STEP_SECONDS}
        answer = answer_in(self._queries.ask(SYSTEM, "cortex", "/api/v1/query_range", query))
        plots = {one.labels.get("tenant", ""): plot(one.points, start, end, STEP_SECONDS) for one in answer.series}
        return {name: one for name, one in plots.items() if one}
