"""One tenant's data in the system tenant: the gateway's answers to its clients, and errors of its pods."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.core.names import GATEWAY_NAMESPACE, SYSTEM, namespace
from components.core.units import HOUR
from scripts.dashboards.expressions import access_log_of
from scripts.web.data.availability import why_no_logs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.web.queries import Line, Queries
    from scripts.web.subject import Subject

ERROR_HOURS = 24
MOST_REFUSED, MOST_ERRORS = 20, 50
# Queries of this page have ids as `Queries` makes them. Clients may have other ids that begin with `page-`.
OWN_QUERIES = 'token_id!~"page-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"'
ERROR_LEVELS = r"level=(error|critical|fatal)|^panic: "
FIELDS = ("time", "api", "method", "path", "status", "reason", "client")


@dataclass(frozen=True)
class Count:
    """How many answers of an API had a status code in an hour."""

    api: str
    status: str
    number: int

    @property
    def is_error(self) -> bool:
        """Whether the status is that of an error."""
        return not self.status.startswith(("1", "2", "3"))


@dataclass(frozen=True)
class Answers:
    """The gateway's answers to a tenant's clients in an hour by code, and the newest errors, as fields of the access log."""

    counts: tuple[Count, ...]
    refused: tuple[Mapping[str, str], ...]


async def answers_by_code(subject: Subject, queries: Queries, tenant: str) -> Answers | str:
    """Return the answers of the last hour, or why they are unknown.

    Raises `QueryError` where the system tenant does not answer.
    """
    if why := why_no_logs(subject, queries, GATEWAY_NAMESPACE):
        return why
    end = time.time()
    own = f"{access_log_of(tenant)} | {OWN_QUERIES}"
    counted = await queries.counted(SYSTEM, f"sum by (api, status) (count_over_time({own} [1h]))", end)
    refused = await queries.logs(SYSTEM, f"{own} | status>=400", end - HOUR, end, MOST_REFUSED)
    counts = [
        Count(one.labels.get("api", "none"), one.labels.get("status", "none"), round(one.points[-1][1]))
        for one in counted.series
        if one.points
    ]
    return Answers(
        tuple(sorted(counts, key=lambda one: (one.status, one.api))), tuple(_fields(line) for line in refused.lines)
    )


def _fields(line: Line) -> Mapping[str, str]:
    """Return the fields of a line of the access log; a line of another form is its own path."""
    try:
        found = json.loads(line.text)
        return {name: "none" if found[name] is None else str(found[name]) for name in FIELDS}
    except (ValueError, LookupError, TypeError):
        return dict.fromkeys(FIELDS, "unknown") | {"path": line.text}


async def errors_of_pods(subject: Subject, queries: Queries, tenant: str) -> list[Line] | str:
    """Return the newest lines of a day in which the tenant's pods tell of an error, or why they are unknown.

    Raises as `answers_by_code` does.
    """
    if why := why_no_logs(subject, queries, namespace(tenant)):
        return why
    end = time.time()
    expression = f'{{k8s_namespace_name="{namespace(tenant)}"}} |~ `{ERROR_LEVELS}`'
    answer = await queries.logs(SYSTEM, expression, end - ERROR_HOURS * HOUR, end, MOST_ERRORS)
    return list(answer.lines)
