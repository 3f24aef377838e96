"""Changes: the list of all, one with its progress, and answers to its questions."""

from __future__ import annotations

import html
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from components.core.errors import UserError
from scripts.web.page import form_of, page_of, progress_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from scripts.web.changes.change import Change

TOO_LATE = "Your answer was not taken: its question was answered before, or no longer waits."


def show_all(request: Request) -> Response:
    """Answer with all changes that this page made."""
    page = page_of(request)
    return page.respond(request, "changes.html", changes=page.changes.all())


def _change(request: Request) -> Change:
    change = page_of(request).changes.find(request.path_params["change"])
    if change is None:
        raise HTTPException(
            HTTPStatus.NOT_FOUND, "This page knows no such change. It keeps the last ones until it ends."
        )
    return change


def show(request: Request) -> Response:
    """Answer with a change and its progress."""
    return _shown(request, _change(request))


def _shown(request: Request, change: Change, error: str | None = None) -> Response:
    change.follow()
    status = HTTPStatus.CONFLICT if error else HTTPStatus.OK
    return page_of(request).respond(request, "change.html", status=status, change=change, error=error)


def progress(request: Request) -> Response:
    """Answer with the progress of a change alone, with the token of the session for its forms."""
    change = _change(request)
    change.follow()
    return HTMLResponse(page_of(request).html("progress.html", change=change, csrf=request.state.session.csrf))


def again(request: Request) -> Response:
    """Start a change that failed or was interrupted once more."""
    page, ended = page_of(request), _change(request)
    if not ended.can_run_again:
        raise HTTPException(HTTPStatus.CONFLICT, "This change cannot run again.")
    try:
        return progress_of(page.changes.start(page.context, ended.task))
    except UserError as refused:
        raise HTTPException(HTTPStatus.CONFLICT, str(refused)) from None


def output(request: Request) -> Response:
    """Answer with the last lines of the engine's output."""
    return HTMLResponse("\n".join(html.escape(line) for line in _change(request).lines))


def answer(request: Request) -> Response:
    """Answer the question of a change, unless another answer came first: one never answers the next question."""
    change, form = _change(request), form_of(request)
    text = form.get("name", "").strip() if form.get("answer") == "name" else form.get("answer", "no")
    if not change.answer(form.get("question", ""), text):
        return _shown(request, change, TOO_LATE)
    return progress_of(change)
