"""Explore: queries of a tenant's metrics and logs, and the names that the editor completes.

All answers are bounded, because a browser shows them at once.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from components.core.errors import UserError
from components.core.names import SYSTEM, Api
from scripts.web.page import page_of
from scripts.web.queries import QueryError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from starlette.requests import Request

    from scripts.web.queries import Answer, Line, Series

RANGES: Mapping[str, int] = {"15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400}  # seconds
DEFAULT_RANGE = "1h"
LANGUAGES: Mapping[str, str] = {"promql": "PromQL", "logql": "LogQL"}
MOST_SERIES = 100
MOST_LINES = 500
MOST_CHARACTERS = 4000  # of a line
MOST_NAMES = 10_000  # of metrics, labels or values
MOST_POINTS = 240  # of a series
SHORTEST_STEP = 15  # seconds: clients seldom send more often
NAMES: Mapping[Api, re.Pattern[str]] = {
    "cortex": re.compile(r"api/v1/(labels|label/\w+/values|series|metadata)", re.ASCII),
    "loki": re.compile(r"loki/api/v1/(labels|label/\w+/values)", re.ASCII),
}
PARAMETERS = ("match[]", "start", "end", "query")


def show(request: Request) -> Response:
    """Answer with the editor, and with the query of the URL in it."""
    page, query = page_of(request), request.query_params
    request.state.style_nonce = secrets.token_urlsafe(16)  # CodeMirror writes its styles into the page
    try:
        tenants, off = sorted(page.subject.settings()), page.queries.why_off()
    except UserError as invalid:
        tenants, off = [], str(invalid)
    chosen = {
        "tenant": _one_of(tenants, query.get("tenant"), next((one for one in tenants if one != SYSTEM), "")),
        "language": _one_of(LANGUAGES, query.get("language"), "promql"),
        "range": _one_of(RANGES, query.get("range"), DEFAULT_RANGE),
        "query": query.get("query", ""),
    }
    return page.respond(
        request,
        "explore.html",
        nonce=request.state.style_nonce,
        off=off,
        tenants=tenants,
        languages=LANGUAGES,
        ranges=RANGES,
        chosen=chosen,
    )


def _one_of(known: Container[str], value: str | None, default: str) -> str:
    return value if value is not None and value in known else default


async def query(request: Request) -> Response:
    """Answer with the series or lines that a query finds, as JSON; with an error as the back end tells it."""
    queries, asked = page_of(request).queries, request.query_params
    tenant, text = asked.get("tenant", ""), asked.get("query", "").strip()
    seconds = RANGES[_one_of(RANGES, asked.get("range"), DEFAULT_RANGE)]
    end = time.time()
    try:
        if not text:
            raise QueryError("The query is empty: type one first.")
        if asked.get("language") == "logql":
            bounds = {"limit": MOST_LINES + 1, "direction": "backward", "step": step_of(seconds)}
            answer = await queries.found_in_logs(tenant, text, end - seconds, end, bounds)
        else:
            answer = await queries.ranged(tenant, text, end - seconds, end, step_of(seconds))
    except UserError as error:
        return JSONResponse({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)
    return JSONResponse(shown(answer) | {"start": end - seconds, "end": end})


def step_of(seconds: int) -> int:
    """Return the seconds between two points of a series."""
    return max(SHORTEST_STEP, math.ceil(seconds / MOST_POINTS))


def shown(answer: Answer) -> dict[str, Any]:
    """Return an answer as the browser gets it: bounded, with a notice where something is left out."""
    series, lines, notices = answer.series[:MOST_SERIES], answer.lines[:MOST_LINES], [*answer.warnings]
    if len(answer.series) > MOST_SERIES:
        notices.append(
            f"Only {MOST_SERIES} of {len(answer.series):,} series are shown. Select fewer by labels, or aggregate them."
        )
    if len(answer.lines) > MOST_LINES:
        notices.append(f"Only the newest {MOST_LINES} lines are shown. Select a shorter time, or filter the lines.")
    times = sorted({at for one in series for at, _ in one.points})
    return {
        "times": times,
        "series": [_series(one, times) for one in series],
        "lines": [_line(one) for one in lines],
        "notices": notices,
    }


def _series(series: Series, times: list[float]) -> dict[str, Any]:
    """Return a series with a value for each of `times`; null where it has none, because JSON has no NaN."""
    values = {at: value for at, value in series.points if math.isfinite(value)}
    return {"labels": dict(series.labels), "values": [values.get(at) for at in times]}


def _line(line: Line) -> dict[str, Any]:
    cut = len(line.text) - MOST_CHARACTERS
    text = f"{line.text[:MOST_CHARACTERS]}… ({cut:,} more characters)" if cut > 0 else line.text
    return {"milliseconds": line.nanoseconds // 1_000_000, "text": text, "labels": dict(line.labels)}


async def names(request: Request) -> Response:
    """Answer with names of a tenant's metrics, labels or values, in the form of the Prometheus API."""
    parts = request.path_params
    api: Api | None = next((one for one in NAMES if one == parts["api"]), None)
    if api is None or not NAMES[api].fullmatch(parts["path"]):
        return _told(f"{parts['path']} is not a path that this page asks.", HTTPStatus.NOT_FOUND)
    asked = {name: values for name in PARAMETERS if (values := request.query_params.getlist(name))}
    try:
        data = await page_of(request).queries.read(parts["tenant"], api, f"/{parts['path']}", asked)
    except UserError as error:
        return _told(str(error), HTTPStatus.UNPROCESSABLE_ENTITY)
    if isinstance(data, dict):
        data = dict([*data.items()][:MOST_NAMES])
    return JSONResponse({"status": "success", "data": data[:MOST_NAMES] if isinstance(data, list) else data or []})


def _told(error: str, status: HTTPStatus) -> Response:
    return JSONResponse({"status": "error", "error": error}, status)
