"""What a tenant uses of its limits: numbers of the system tenant beside the limits in force. One query asks for all numbers.

Limits of single requests, such as the length of a label, have no use. They are not here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from components.collectors.rules.selectors import series
from components.config.backend_limits import Limits, LogsLimits, MetricsLimits
from components.core.names import SYSTEM
from components.core.units import HOUR
from scripts.tenants.reports.list_and_show import base_limits
from scripts.web.data.availability import why_no_metrics
from scripts.web.data.plots import in_words, plot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.clients.back_ends import Kind
    from scripts.clients.kubernetes import Cluster
    from scripts.web.data.plots import Plot
    from scripts.web.queries import Queries
    from scripts.web.subject import Subject

    InForce = Mapping[str, Mapping[str, Any] | None]

Program = Literal["cortex", "alertmanager", "loki"]
STEP_SECONDS = 60
BASE_SECONDS = 300  # until the base of limits is read again
MEBIBYTE = 1 << 20
INFO: Mapping[Program, str] = {  # of each scrape
    "cortex": "cortex_build_info",
    "alertmanager": "cortex_build_info",
    "loki": "loki_build_info",
}
MODELS: Mapping[Kind, type[Limits]] = {"metrics": MetricsLimits, "logs": LogsLimits}
ZERO_IS_NONE = "0: no limit"  # in the description of a limit


@dataclass(frozen=True)
class Number:
    """A number in the system tenant: its expression, where `{}` is the selector of the tenant, and the program that has it."""

    expression: str
    program: Program


NUMBERS: Mapping[str, Number] = {
    # With three replicas, each pod has all series and all streams.
    "series": Number("max(cortex_ingester_memory_series{})", "cortex"),
    "samples": Number("sum(rate(cortex_distributor_received_samples_total{}[5m]))", "cortex"),
    "queue": Number("max(sum by (pod) (cortex_query_frontend_queue_length{}))", "cortex"),
    # Each group is evaluated by one pod, and has its series there.
    "groups": Number(
        "count(count by (rule_group) (cortex_prometheus_rule_group_last_evaluation_timestamp_seconds{}))", "cortex"
    ),
    "alerts": Number("sum(cortex_alertmanager_alerts{})", "alertmanager"),
    "notifications": Number(
        "max(sum by (integration) (rate(cortex_alertmanager_notifications_total{}[5m])))", "alertmanager"
    ),
    "streams": Number("max(loki_ingester_memory_streams{})", "loki"),
    "lines": Number("sum(rate(loki_distributor_lines_received_total{}[5m]))", "loki"),
    "bytes": Number("sum(rate(loki_distributor_bytes_received_total{}[5m]))", "loki"),
}


@dataclass(frozen=True)
class Limited:
    """Something that a tenant has much or little of.

    Attributes:
        label: What it is, in words.
        kind: The kind of data.
        limit: The name of its limit; None for none.
        number: The name of its number; None where the collectors keep no metric of it.
        factor: What the limit is multiplied by.
    """

    label: str
    kind: Kind
    limit: str | None
    number: str | None = None
    factor: int = 1


LIMITED = (
    Limited("Series in a pod", "metrics", "max_series_per_user", "series"),
    Limited("Series in all pods", "metrics", "max_global_series_per_user", "series"),
    Limited("Samples/s", "metrics", "ingestion_rate", "samples"),
    Limited("Queries that wait", "metrics", "max_outstanding_requests_per_tenant", "queue"),
    Limited("Rule groups", "metrics", "ruler_max_rule_groups_per_tenant", "groups"),
    Limited("Streams in a pod", "logs", "max_streams_per_user", "streams"),
    Limited("Streams in all pods", "logs", "max_global_streams_per_user", "streams"),
    Limited("Lines/s", "logs", None, "lines"),
    Limited("Bytes of lines/s", "logs", "ingestion_rate_mb", "bytes", MEBIBYTE),
    Limited("Series of one metric in a pod", "metrics", "max_series_per_metric"),
    Limited("Series of one metric in all pods", "metrics", "max_global_series_per_metric"),
    Limited("Metrics with metadata", "metrics", "max_metadata_per_user"),
    Limited("Exemplars in a pod", "metrics", "max_exemplars"),
    Limited("Rules of one group", "metrics", "ruler_max_rules_per_rule_group"),
    Limited("Bytes/s of one stream", "logs", "per_stream_rate_limit"),
    Limited("Clients that tail", "logs", "max_concurrent_tail_requests"),
)
LIMITED_ALERTMANAGER = (
    Limited("Alerts", "metrics", "alertmanager_max_alerts_count", "alerts"),
    Limited("Notifications/s of one integration", "metrics", "alertmanager_notification_rate_limit", "notifications"),
    Limited("Bytes of alerts", "metrics", "alertmanager_max_alerts_size_bytes"),
    Limited("Groups of alerts", "metrics", "alertmanager_max_dispatcher_aggregation_groups"),
    Limited("Silences", "metrics", "alertmanager_max_silences_count"),
)


@dataclass(frozen=True)
class Use:
    """The use of one limit.

    Attributes:
        label: What is limited.
        name: The name of the limit; None for none.
        has_figure: Whether the system tenant has metrics of it.
        plot: Its last hour; None where it was not scraped.
        limit: The limit in words.
        percent: The used share; None where nothing is limited, or where the use is unknown.
    """

    label: str
    name: str | None
    has_figure: bool
    plot: Plot | None
    limit: str
    percent: int | None


class BaseLimits:
    """The limits that each tenant's Cortex started with. Its whole configuration has them, so they are kept for a while."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Mapping[str, Any]]] = {}  # with when they were read

    def of(self, cluster: Cluster, tenant: str) -> Mapping[str, Any] | None:
        """Return the limits; None where Cortex does not answer."""
        read_at, kept = self._kept.get(tenant, (0.0, None))
        if kept is None or time.time() - read_at > BASE_SECONDS:
            kept = base_limits(cluster, tenant)
            if kept:
                self._kept[tenant] = (time.time(), kept)
        return kept


async def use_of_limits(subject: Subject, queries: Queries, tenant: str, limits: InForce) -> list[Use] | str:
    """Return what the tenant uses of its limits, or why that is unknown; `limits` are those in force, by kind of data.

    Raises `QueryError` where the system tenant does not answer.
    """
    if why := why_no_metrics(subject, queries):
        return why
    end = time.time()
    answer = await queries.ranged(SYSTEM, expression_of_numbers(tenant), end - HOUR, end, STEP_SECONDS)
    plots = {one.labels.get("number"): plot(one.points, end - HOUR, end, STEP_SECONDS) for one in answer.series}
    shown = LIMITED + (LIMITED_ALERTMANAGER if subject.settings()[tenant].alertmanager.enabled else ())
    return [_use(one, plots.get(one.number), limits) for one in sorted(shown, key=lambda one: one.number is None)]


def expression_of_numbers(tenant: str) -> str:
    """Return the expression for all numbers of a tenant, each with its label `number`.

    Many metrics begin with the first sample, line, query, group or alert. Until then, a number is 0 if the program was scraped.
    """

    def own(number: Number) -> str:
        return number.expression.replace("{}", series(number.program, "", f'tenant="{tenant}"'))

    return " or ".join(
        f"label_replace({own(number)} or 0 * {own(Number(f'max({INFO[number.program]}{{}})', number.program))}, "
        f'"number", "{name}", "", "")'
        for name, number in NUMBERS.items()
    )


def _use(one: Limited, found: Plot | None, limits: InForce) -> Use:
    text, most = _limit(one, limits)
    percent = round(100 * found.value / most) if most and found and found.value is not None else None
    return Use(one.label, one.limit, one.number is not None, found, text, percent)


def _limit(one: Limited, limits: InForce) -> tuple[str, float | None]:
    """Return a limit in words and as a number; None where nothing is limited, or where the limit is no number."""
    if one.limit is None:
        return "no limit", None
    in_force = limits.get(one.kind)
    if in_force is None:
        return "unknown: the back end does not answer", None
    value = in_force.get(one.limit)
    if value is None:
        return "unknown: the back end does not tell it", None
    if isinstance(value, str):
        return value, None
    if not value and ZERO_IS_NONE in (MODELS[one.kind].model_fields[one.limit].description or ""):
        return "no limit", None
    most = float(value) * one.factor
    return in_words(most), most
