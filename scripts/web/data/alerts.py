"""Alerts that fire: those of a tenant's own rules, and those of the platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.core.names import SYSTEM, Api, namespace
from scripts.web.data.availability import why_no_rules
from scripts.web.queries import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scripts.web.queries import Queries
    from scripts.web.subject import Subject

PATH = "/prometheus/api/v1/alerts"
NO_SEVERITY = "none"  # of alerts that always fire, such as Watchdog
SHOWN_ELSEWHERE = ("alertname", "severity")


@dataclass(frozen=True)
class Alert:
    """An alert that fires: its name, its severity, since when, its summary, and its other labels in words."""

    name: str
    severity: str
    since: str
    summary: str
    labels: str


@dataclass(frozen=True)
class Part:
    """Alerts of one source, below a title; `why` says why they are unknown, and is None where they are known."""

    title: str
    alerts: tuple[Alert, ...] = ()
    why: str | None = None


def _every(_: Mapping[str, str]) -> bool:
    return True


async def of_tenant(subject: Subject, queries: Queries, tenant: str) -> list[Part] | str:
    """Return the alerts of the tenant's own rules, by program, and those of the platform about the tenant.

    Without a key, return why there are none.
    """
    if why := queries.why_off():
        return why

    def is_about(labels: Mapping[str, str]) -> bool:
        return labels.get("tenant") == tenant or labels.get("namespace") == namespace(tenant)

    own: dict[str, Api] = {"By its rules of metrics": "cortex", "By its rules of logs": "loki"}
    return [
        # The rules of the system tenant's Cortex are those of the platform.
        *[
            await _part(title, queries, tenant, api)
            for title, api in own.items()
            if (tenant, api) != (SYSTEM, "cortex")
        ],
        await _of_platform("By the platform's rules", subject, queries, is_about),
    ]


async def of_platform(subject: Subject, queries: Queries) -> Part:
    """Return all alerts of the platform."""
    return await _of_platform("Alerts", subject, queries, _every)


async def _of_platform(
    title: str, subject: Subject, queries: Queries, is_wanted: Callable[[Mapping[str, str]], bool]
) -> Part:
    if why := why_no_rules(subject, queries):
        return Part(title, why=why)
    return await _part(title, queries, SYSTEM, "cortex", is_wanted)


async def _part(
    title: str,
    queries: Queries,
    tenant: str,
    api: Api,
    is_wanted: Callable[[Mapping[str, str]], bool] = _every,
) -> Part:
    try:
        data = await queries.read(tenant, api, PATH)
        found = data["alerts"] or ()
        firing = [one for one in found if one["state"] == "firing" and is_wanted(one["labels"])]
        return Part(title, tuple(sorted(_alerts(firing), key=lambda one: (one.severity, one.name, one.labels))))
    except QueryError as error:
        return Part(title, why=str(error))
    except (LookupError, TypeError, AttributeError):
        return Part(title, why="The answer does not have the form of the API for alerts.")


def _alerts(found: Iterable[Mapping[str, Any]]) -> Iterable[Alert]:
    for one in found:
        labels, annotations = one["labels"], one.get("annotations") or {}
        severity = str(labels.get("severity", "without severity"))
        if severity == NO_SEVERITY:
            continue
        others = {name: value for name, value in labels.items() if name not in SHOWN_ELSEWHERE}
        yield Alert(
            name=str(labels.get("alertname", "without a name")),
            severity=severity,
            since=str(one.get("activeAt", ""))[:19].replace("T", " ") + " UTC",
            summary=str(annotations.get("summary") or annotations.get("description") or "without a summary"),
            labels=", ".join(f"{name}={value}" for name, value in sorted(others.items())),
        )
