"""The application of a page: its routes, behind the guard."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from components.core.errors import UserError
from scripts.web.fault import reported
from scripts.web.guard import Guard
from scripts.web.page import FOLDER, page_of
from scripts.web.views import (
    changes,
    connect,
    edits,
    explore,
    instance,
    instance_data,
    removal,
    retained,
    tenant,
    tenant_data,
    tenants,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from scripts.web.page import Page
    from scripts.web.sessions import Sessions

ROUTES = [
    Route("/", tenants.show),
    Route("/refresh", tenants.refresh, methods=["POST"]),
    Route("/events", tenants.stream),
    Route("/banner", tenants.banner),
    Route("/rows", tenants.rows),
    Route("/ages", tenants.ages),
    Route("/tenants/{tenant}", tenant.show),
    Route("/tenants/{tenant}/state", tenant.state),
    Route("/tenants/{tenant}/facts", tenant.facts),
    Route("/tenants/{tenant}/tokens", tenant.tokens),
    Route("/tenants/{tenant}/revoke", tenant.revoke, methods=["POST"]),
    Route("/tenants/{tenant}/change", edits.show_change),
    Route("/tenants/{tenant}/change", edits.change, methods=["POST"]),
    Route("/tenants/{tenant}/delete", removal.show),
    Route("/tenants/{tenant}/delete", removal.remove, methods=["POST"]),
    Route("/add", edits.show_add),
    Route("/add", edits.add, methods=["POST"]),
    Route("/add/name", edits.check_name),
    Route("/instance", instance.show),
    Route("/instance/header", instance.header),
    Route("/instance/gateway", instance.gateway),
    Route("/instance/check", instance.check, methods=["POST"]),
    Route("/changes", changes.show_all),
    Route("/changes/{change}", changes.show),
    Route("/changes/{change}/progress", changes.progress),
    Route("/changes/{change}/output", changes.output),
    Route("/changes/{change}/again", changes.again, methods=["POST"]),
    Route("/changes/{change}/answer", changes.answer, methods=["POST"]),
    Route("/tenants/{tenant}/data/{part}", tenant_data.part),
    Route("/instance/data/{part}", instance_data.part),
    Route("/tenants/{tenant}/connect", connect.show),
    Route("/explore", explore.show),
    Route("/explore/query", explore.query),
    Route("/explore/{tenant}/{api}/{path:path}", explore.names),
    Route("/retained", retained.show),
    Route("/retained/rows", retained.rows),
    Route("/retained/{tenant}/{store}", retained.show_one),
    Route("/retained/{tenant}/{store}/adopt", retained.adopt, methods=["POST"]),
    Route("/retained/{tenant}/{store}/expire", retained.expire, methods=["POST"]),
    Route("/retained/{tenant}/{store}/purge", retained.purge, methods=["POST"]),
    Mount("/static", StaticFiles(directory=FOLDER / "static")),
]


def application(page: Page, sessions: Sessions, port: int, begun: Callable[[], None]) -> Guard:
    """Return the application of a page at a port; `begun` is called after a session has begun."""
    handlers = {HTTPException: _problem, UserError: _invalid, Exception: _fault}
    app = Starlette(routes=ROUTES, exception_handlers=handlers)
    app.state.page = page
    return Guard(app, sessions=sessions, port=port, read_only=page.read_only, begun=begun)


def _invalid(request: Request, error: Exception) -> Response:
    """Answer where a stack file is invalid, with its problem."""
    return _told(request, HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid settings", str(error))


def _problem(request: Request, error: Exception) -> Response:
    """Answer a request for something that is not there."""
    status, text = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, str(error))
    return _told(request, status, HTTPStatus(status).phrase, text)


def _fault(request: Request, error: Exception) -> Response:
    """Answer where a view fails by a fault, whose traceback goes to the terminal."""
    return _told(request, HTTPStatus.INTERNAL_SERVER_ERROR, "Fault", reported(error))


def _told(request: Request, status: int, heading: str, text: str) -> Response:
    """Answer with a problem: a page of its own, or a text where htmx asks for a part of one."""
    page = page_of(request)
    if "HX-Request" in request.headers:
        return HTMLResponse(page.html("part_problem.html", text=text), status)
    return page.respond(request, "problem.html", status=status, heading=heading, text=text)
