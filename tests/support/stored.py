"""What a Loki and a Cortex have stored of the system tenant."""

import json
import time
from typing import Any
from urllib.parse import urlencode

from components.core.names import SYSTEM
from tests.support.backend import Backend

TENANT = {"X-Scope-OrgID": SYSTEM}
HOUR = 3600 * 10**9


def streams(loki: Backend, selector: str) -> list[dict[str, Any]]:
    """Return the streams of the last hour, with 5,000 lines at most."""
    query = urlencode({"query": selector, "limit": "5000", "start": str(time.time_ns() - HOUR)})
    return _result(loki, f"/loki/api/v1/query_range?{query}")


def lines(loki: Backend, selector: str) -> list[str]:
    """Return the lines of the last hour, 5,000 at most."""
    return [line for stream in streams(loki, selector) for _, line in stream["values"]]


def number_of_lines(loki: Backend, selector: str) -> int:
    """Return how many lines of the last hour there are. Lines that arrived twice can count twice."""
    query = urlencode({"query": f"sum(count_over_time({selector}[1h]))"})
    return sum(int(entry["value"][1]) for entry in _result(loki, f"/loki/api/v1/query?{query}"))


def series(cortex: Backend, query: str) -> list[dict[str, str]]:
    """Return the labels of the series that a query returns."""
    return [entry["metric"] for entry in _values(cortex, query)]


def number_of_samples(cortex: Backend, name: str) -> int:
    """Return how many samples of the last hour there are."""
    return sum(int(entry["value"][1]) for entry in _values(cortex, f"count_over_time({name}[1h])"))


def _values(cortex: Backend, query: str) -> list[dict[str, Any]]:
    return _result(cortex, f"/prometheus/api/v1/query?{urlencode({'query': query})}")


def _result(back_end: Backend, path: str) -> list[dict[str, Any]]:
    status, text = back_end.ask("GET", path, headers=TENANT)
    return list(json.loads(text)["data"]["result"]) if status == 200 else []
