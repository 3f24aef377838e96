"""How old the newest data of the collectors in the system tenant is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from components.collectors.rules.selectors import series
from components.core.errors import UserError
from components.core.names import SYSTEM, namespace
from scripts.clients.back_ends import API_OF_KIND, Kind, ask_json, pod_of
from scripts.clients.concurrent import map_concurrently

if TYPE_CHECKING:
    from components.config.platform.collectors import CollectorsConfig
    from scripts.clients.kubernetes import Cluster

NOUNS: dict[Kind, str] = {"metrics": "sample", "logs": "line"}
SOUGHT_HOURS = 24
# Each collector scrapes itself, and writes `up`. A pod could expose an `up` that is newer than any sample. The second expression
# finds the last sample of series that ended: each of its steps looks five minutes back.
UP = series("collector", "up")
NEWEST_SAMPLE = (
    f"time() - max(timestamp({UP}))",
    f"time() - max(max_over_time(timestamp({UP})[{SOUGHT_HOURS}h:4m]))",
)
LINES = '{k8s_namespace_name=~".+"}'  # the label that the collectors give all lines
NANOSECONDS = 10**9


@dataclass(frozen=True)
class Newest:
    """The newest data of a kind.

    Attributes:
        enabled: Whether the collectors collect this kind.
        age_seconds: Its age; None if it is unknown.
        reason: Why the age is unknown; None if it is known, or if the kind is not collected.
    """

    enabled: bool = True
    age_seconds: int | None = None
    reason: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as `--json` has it."""
        return {"enabled": self.enabled, "ageSeconds": self.age_seconds, "reason": self.reason}


def newest_data(cluster: Cluster, config: CollectorsConfig) -> dict[Kind, dict[str, Any]]:
    """Return the newest data of each kind, as `Newest.plain` has it. An age that is unknown is no error."""
    enabled: dict[Kind, bool] = {"metrics": config.metrics, "logs": config.logs}

    def newest(kind: Kind) -> dict[str, Any]:
        return (_newest(cluster, kind) if enabled[kind] else Newest(enabled=False)).plain()

    return dict(zip(enabled, map_concurrently(newest, [*enabled]), strict=True))


def _newest(cluster: Cluster, kind: Kind) -> Newest:
    try:
        return Newest(age_seconds=max(0, int(_age(cluster, kind))))
    except UserError as error:
        return Newest(reason=str(error))


def _age(cluster: Cluster, kind: Kind) -> float:
    """Return the age of the newest data in seconds; raises `UserError` where it is unknown."""
    if cluster.get("v1", "Namespace", namespace(SYSTEM)) is None:
        raise UserError(f"the tenant {SYSTEM} is not applied")
    age = _sample_age(cluster) if kind == "metrics" else _line_age(cluster)
    if age is None:
        raise UserError(f"no {NOUNS[kind]} of the last {SOUGHT_HOURS} hours is in the tenant {SYSTEM}")
    return age


def _results(cluster: Cluster, kind: Kind, path: str, query: dict[str, object]) -> list[Any]:
    """Return the results of a query; raises `UserError` where the back end does not answer."""
    answer = ask_json(cluster, SYSTEM, kind, f"{path}?{urlencode(query)}")
    if answer is None:
        raise UserError(f"{pod_of(API_OF_KIND[kind])} of the tenant {SYSTEM} does not answer")
    return list(answer["data"]["result"])


def _sample_age(cluster: Cluster) -> float | None:
    """Return the age of the newest sample by the back end's clock, None where none is found."""
    for expression in NEWEST_SAMPLE:
        if found := _results(cluster, "metrics", "/api/v1/query", {"query": expression}):
            return float(found[0]["value"][1])
    return None


def _line_age(cluster: Cluster) -> float | None:
    """Return the age of the newest line by this machine's clock, None where none is found."""
    now = time.time_ns()
    begin = now - SOUGHT_HOURS * 3600 * NANOSECONDS
    query = {"query": LINES, "start": begin, "end": now, "limit": 1, "direction": "backward"}
    streams = _results(cluster, "logs", "/loki/api/v1/query_range", query)
    times = [int(written) for stream in streams for written, *_ in stream["values"]]
    return (now - max(times)) / NANOSECONDS if times else None
