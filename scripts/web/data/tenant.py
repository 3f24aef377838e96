"""One tenant's data in the system tenant: its use of limits, the gateway's answers to its clients, and errors of its pods."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.core.names import GATEWAY_NAMESPACE, SYSTEM, namespace
from components.core.units import HOUR
from scripts.dashboards.expressions import ACCESS_LOG
from scripts.web.data.availability import why_no_logs, why_no_metrics
from scripts.web.data.plots import in_words, plot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.clients.back_ends import Kind
    from scripts.web.data.plots import Plot
    from scripts.web.queries import Line, Queries
    from scripts.web.subject import Subject

ERROR_HOURS = 24
STEP_SECONDS = 60
MOST_REFUSED, MOST_ERRORS = 20, 50
MEBIBYTE = 1 << 20
# Queries of this page have ids as `Queries` makes them. Clients may have other ids that begin with `page-`.
OWN_QUERIES = 'token_id!~"page-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"'
ERROR_LEVELS = r"level=(error|critical|fatal)|^panic: "
INFO: Mapping[Kind, str] = {"metrics": "cortex_build_info", "logs": "loki_build_info"}
FIELDS = ("time", "api", "method", "path", "status", "reason", "client")


@dataclass(frozen=True)
class Limited:
    """A number that a limit bounds.

    Attributes:
        label: What it is, in words.
        expression: The expression of the number in the system tenant; `{}` is the selector of the tenant.
        kind: The kind of data.
        limit: The name of the limit; None for none.
        factor: What the limit is multiplied by.
    """

    label: str
    expression: str
    kind: Kind
    limit: str | None
    factor: int = 1


NUMBERS = (
    Limited("Series", "max(cortex_ingester_memory_series{})", "metrics", "max_series_per_user"),
    Limited("Samples/s", "sum(rate(cortex_distributor_received_samples_total{}[5m]))", "metrics", "ingestion_rate"),
    Limited("Streams", "max(loki_ingester_memory_streams{})", "logs", "max_global_streams_per_user"),
    Limited("Lines/s", "sum(rate(loki_distributor_lines_received_total{}[5m]))", "logs", None),
    Limited(
        "Bytes of lines/s",
        "sum(rate(loki_distributor_bytes_received_total{}[5m]))",
        "logs",
        "ingestion_rate_mb",
        MEBIBYTE,
    ),
)


@dataclass(frozen=True)
class Use:
    """The use of one limit: a number, its last hour, its limit in words, and the used share in percent.

    `plot` is None where the system tenant does not have the number. `percent` is None where nothing is limited.
    """

    label: str
    plot: Plot | None
    limit: str
    percent: int | None


async def use_of_limits(
    subject: Subject, queries: Queries, tenant: str, limits: Mapping[str, Mapping[str, Any] | None]
) -> list[Use] | str:
    """Return what the tenant uses of its limits, or why that is unknown; `limits` are those in force, by kind of data.

    One query asks for all numbers. Raises `QueryError` where the system tenant does not answer.
    """
    if why := why_no_metrics(subject, queries):
        return why
    end = time.time()
    answer = await queries.ranged(SYSTEM, expression_of_numbers(tenant), end - HOUR, end, STEP_SECONDS)
    plots = {one.labels.get("number"): plot(one.points, end - HOUR, end, STEP_SECONDS) for one in answer.series}
    return [_use(number, plots.get(number.label), limits) for number in NUMBERS]


def expression_of_numbers(tenant: str) -> str:
    """Return the expression for all numbers of a tenant, each with its label `number`.

    Counters begin with the first sample or line. Until then, a number is 0 if the program was scraped.
    """
    own = f'{{tenant="{tenant}"}}'
    return " or ".join(
        f"label_replace({number.expression.replace('{}', own)} or 0 * max({INFO[number.kind]}{own}), "
        f'"number", "{number.label}", "", "")'
        for number in NUMBERS
    )


def _use(number: Limited, found: Plot | None, limits: Mapping[str, Mapping[str, Any] | None]) -> Use:
    if number.limit is None:
        return Use(number.label, found, "no limit", None)
    in_force = limits.get(number.kind)
    if in_force is None:
        return Use(number.label, found, "unknown: the back end does not answer", None)
    limit = float(in_force.get(number.limit) or 0) * number.factor
    if not limit:  # 0 stands for none
        return Use(number.label, found, "no limit", None)
    percent = round(100 * found.value / limit) if found and found.value is not None else None
    return Use(number.label, found, in_words(limit), percent)


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
    """Return the answers of the last hour, or why they are unknown; raises as `use_of_limits` does."""
    if why := why_no_logs(subject, queries, GATEWAY_NAMESPACE):
        return why
    end = time.time()
    own = f'{ACCESS_LOG} | tenant="{tenant}" | {OWN_QUERIES}'
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

    Raises as `use_of_limits` does.
    """
    if why := why_no_logs(subject, queries, namespace(tenant)):
        return why
    end = time.time()
    expression = f'{{k8s_namespace_name="{namespace(tenant)}"}} |~ `{ERROR_LEVELS}`'
    answer = await queries.logs(SYSTEM, expression, end - ERROR_HOURS * HOUR, end, MOST_ERRORS)
    return list(answer.lines)
