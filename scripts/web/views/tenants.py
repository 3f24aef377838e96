"""The list of tenants, and the stream that keeps browsers up to date."""

from __future__ import annotations

import time
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from starlette.responses import HTMLResponse, Response, StreamingResponse

from components.core.errors import UserError
from scripts.tokens import issued
from scripts.ui.durations import age_in_words
from scripts.web.data.figures import ROUND_SECONDS
from scripts.web.data.states import STATES_SECONDS
from scripts.web.fault import reported
from scripts.web.page import page_of
from scripts.web.subject import stamp
from scripts.web.tenant_list import SORTS, select

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from starlette.requests import Request

    from scripts.tenants.reports.overview import Glance
    from scripts.web.changes.change import Change
    from scripts.web.page import Page
    from scripts.web.subject import Stamp

LOOK_SECONDS = 0.5
# Events that come again and again, and the seconds between two. They make views ask for what the page does not follow: queries,
# and what AWS and the engine tell, which changes seldom.
PERIODS = {"figures": ROUND_SECONDS, "account": STATES_SECONDS}
SHOWN = "Rows-Shown"  # the header with the mark of the rows that a browser shows
REDRAW_SECONDS = 60  # after which views ask without a change, because tenants get older, and tokens end
HEADINGS = {
    "name": "Name",
    "state": "State",
    "age": "Age",
    "series": "Series",
    "samples": "Samples/s",
    "lines": "Lines/s",
    "stored": "Stored",
    "metrics": "Metrics kept",
    "logs": "Logs kept",
    "owner": "Owner",
    "stack": "Stack",
}


def _listed(request: Request, shown: str | None = None) -> dict[str, Any]:
    """Return the values of the list for the filter and the order in the request's URL.

    `shown` is the mark of the rows that the browser shows; None for none.
    """
    page, query = page_of(request), request.query_params
    sort = query.get("sort", "name")
    sort = sort if sort in HEADINGS else "name"
    descending, text = query.get("order") == "descending", query.get("filter", "")
    error = page.tenants.error
    everyone: Sequence[Glance] = ()
    try:
        everyone = page.tenants.tenants()
    except UserError as invalid:
        error = str(invalid)
    tenants = select(everyone, text, _key(page, sort), descending=descending)
    now = time.time()
    html, mark = page.rows.html({one.name: _row(page, one, now) for one in tenants}, shown, are_all=not text.strip())
    return {
        "tenants": tenants,
        "rows": html,
        "mark": mark,
        "total": len(everyone),
        "headings": HEADINGS,
        "sort": sort,
        "descending": descending,
        "filter": text,
        "error": error,
        **_ages(page),
    }


def _ages(page: Page) -> dict[str, Any]:
    """Return the values that tell how old the list is."""
    return {
        "applied_at": page.tenants.applied_at,
        "pods_at": page.tenants.pods_at,
        "figures": page.figures,
        "stored": page.stored,
    }


def _row(page: Page, tenant: Glance, now: float) -> dict[str, Any]:
    """Return the values of a tenant's row."""
    return {
        "tenant": tenant,
        "age": _age(page, tenant, now),
        "figures": page.figures.of(tenant.name),
        "missing": "see above" if page.figures.why else "not scraped",
        "stored": page.stored.in_words(tenant.name),
    }


def _age(page: Page, tenant: Glance, now: float) -> str:
    if tenant.created:
        return age_in_words(int(now - tenant.created))
    return "being read" if page.tenants.applied_at is None else "not created"


def _key(page: Page, sort: str) -> Callable[[Glance], Any]:
    """Return the key of an order. Tenants without the figure come first."""
    if sort in SORTS:
        return SORTS[sort]
    if sort == "stored":
        return lambda one: -1 if (size := page.stored.of(one.name)) is None else size
    return lambda one: (
        -1 if (plot := getattr(page.figures.of(one.name), sort)) is None or plot.value is None else plot.value
    )


def show(request: Request) -> Response:
    """Answer with the list of tenants."""
    return page_of(request).respond(request, "tenants.html", is_update=False, **_listed(request))


def rows(request: Request) -> Response:
    """Answer with the rows of the list that the browser does not show yet, and with its headings.

    Their links have the filter that was typed.
    """
    page, listed = page_of(request), _listed(request, request.headers.get(SHOWN))
    return HTMLResponse(page.html("rows.html", **listed) + page.html("headings.html", is_update=True, **listed))


def ages(request: Request) -> Response:
    """Answer with the times at which the values of the list were read."""
    page = page_of(request)
    return HTMLResponse(page.html("ages.html", **_ages(page)))


def refresh(request: Request) -> Response:
    """Read all the engine's states again soon, and sum what failed. The stream tells browsers, so they keep filter and order."""
    page = page_of(request)
    page.tenants.states.refresh()
    page.stored.refresh()
    return Response(status_code=HTTPStatus.NO_CONTENT)


def banner(request: Request) -> Response:
    """Answer with the changes that are under way."""
    page = page_of(request)
    return HTMLResponse(page.html("banner.html", active=page.changes.active()))


def stream(request: Request) -> Response:
    """Answer with an event for each change of the list and of files, for each change that begins, asks or ends, and in `PERIODS`.

    With `change` in the URL, also for the progress of that one. A page has only one stream, because browsers have few
    connections to a host.
    """
    page = page_of(request)
    change = page.changes.find(request.query_params.get("change", ""))
    return StreamingResponse(_events(page, change), media_type="text/event-stream")


async def _events(page: Page, change: Change | None) -> AsyncIterator[str]:
    """Yield events until the browser goes away, or the page ends; a fault ends them too, and the terminal gets it."""
    try:
        async with aclosing(_changes(page, change)) as events:
            async for event in events:
                yield event
    except Exception as fault:
        reported(fault)


async def _changes(page: Page, change: Change | None) -> AsyncGenerator[str]:
    """Yield events. The first tell what came before the connection."""
    tenants: tuple[int, int, int, int] | None = None
    read_at: tuple[float | None, ...] | None = None
    changes: list[tuple[str, bool]] | None = None
    files: tuple[int, Stamp | None, int] | None = None
    progress: int | None = None
    rounds = dict.fromkeys(PERIODS, 0)
    started = time.monotonic()
    with page.tenants.watched():
        page.figures.refresh_if_old()
        page.stored.request()
        while not page.is_ending:
            passed = time.monotonic() - started
            minutes = int(passed // REDRAW_SECONDS)
            if tenants != (versions := (page.tenants.version, page.figures.version, page.stored.version, minutes)):
                tenants = versions
                yield "event: tenants\ndata:\n\n"
            times = (page.tenants.applied_at, page.tenants.pods_at, page.figures.read_at, page.stored.version)
            if read_at != times:
                read_at = times
                yield "event: ages\ndata:\n\n"
            active = [(one.id, one.is_waiting) for one in page.changes.active()]
            if changes != active:
                if changes is not None:  # or a view would read once more what it has just read
                    yield "event: turned\ndata:\n\n"
                changes = active
                yield "event: changes\ndata:\n\n"
            if files != (found := (page.subject.version, stamp(issued.path()), minutes)):
                files = found
                yield "event: files\ndata:\n\n"
            for event, seconds in PERIODS.items():
                if rounds[event] != (number := int(passed // seconds)):
                    rounds[event] = number
                    yield f"event: {event}\ndata:\n\n"
            if change:
                await anyio.to_thread.run_sync(change.follow)
                if progress != change.version:
                    progress = change.version
                    yield "event: progress\ndata:\n\n"
            await anyio.sleep(LOOK_SECONDS)
