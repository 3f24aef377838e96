"""Queries of the system tenant's metrics and lines, through the gateway."""

import json
from typing import Any
from urllib.parse import urlencode

from components.core.names import SYSTEM
from tests.support.user_session import UserSession, url

METRICS, LINES = ("cortex", "/api/v1/query"), ("loki", "/loki/api/v1/query_range")
Found = list[dict[str, Any]]


class QueryError(Exception):
    """The answer to a query was another than 200, as while a back end starts."""


def result(walk: UserSession, where: tuple[str, str], **query: str | int) -> Found:
    """Return the result of a query to an API and its path; raises `QueryError`."""
    api, path = where
    status, text = walk.curl(f"{url(api, SYSTEM, path)}?{urlencode(query)}", token=walk.token(SYSTEM))
    if status != 200:
        raise QueryError(f"{status} {text.strip()}")
    return list(json.loads(text)["data"]["result"])


def asked(walk: UserSession, where: tuple[str, str], **query: str | int) -> Found:
    """Return the result of a query; empty while the system tenant does not answer."""
    try:
        return result(walk, where, **query)
    except QueryError:
        return []


def lines_of(found: Found) -> list[str]:
    """Return the lines in the result of a query of lines."""
    return [line for stream in found for _, line in stream["values"]]
