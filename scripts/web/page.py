"""What the views of a page share: the instance, the list of its tenants, the changes, and the templates."""

from __future__ import annotations

import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse

from components.core.errors import UserError
from components.core.timestamps import instant
from scripts.web.changes.changes import Changes
from scripts.web.data.figures import FiguresOfTenants
from scripts.web.data.limits import BaseLimits
from scripts.web.data.rows import Rows
from scripts.web.data.stored import StoredBytes
from scripts.web.guard import READ_ONLY
from scripts.web.queries import Queries
from scripts.web.subject import Subject
from scripts.web.tenant_list import TenantList

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from scripts.context.context import Context
    from scripts.tokens.signing import Signer
    from scripts.web.changes.change import Change, Task

FOLDER = Path(__file__).parent
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,  # it looks at the files for each of a thousand rows
)
# All times are in UTC, as those of the engine, of tokens and of logs are.
TEMPLATES.filters["clock"] = lambda seconds: time.strftime("%H:%M:%S UTC", time.gmtime(seconds))
TEMPLATES.filters["moment"] = lambda seconds: time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
TEMPLATES.filters["instant"] = lambda text: TEMPLATES.filters["moment"](instant(text))


class Page:
    """A page about one instance.

    Args:
        context: The context of the command.
        provider_name: The provider of the instance.
        instance: Its name.
        folder: A folder of the user alone, for the logs of the engine's events.
        read_only: Whether the page changes nothing.
        signer: Signs the tokens of queries; None without a key.
    """

    def __init__(  # noqa: PLR0913 one for each part of the page
        self,
        context: Context,
        provider_name: str,
        instance: str,
        folder: Path,
        *,
        read_only: bool = False,
        signer: Signer | None = None,
    ) -> None:
        self.context, self.provider_name, self.instance = context, provider_name, instance
        self.read_only = read_only
        self.subject = Subject(context, provider_name, instance)
        self.tenants = TenantList(self.subject)
        self.queries = Queries(self.subject, signer)
        self.figures = FiguresOfTenants(self.subject, self.queries, lambda: self.tenants.is_watched)
        self.stored = StoredBytes(self.subject, self.tenants.buckets, lambda: self.tenants.is_watched)
        self.base_limits = BaseLimits()
        self.rows = Rows(lambda values: self.html("row.html", **values))
        self.changes = Changes(folder, self.tenants.states.refresh)
        self.checks = threading.Lock()  # of the checks that start pods: the page ends after them
        self.is_ending = False

    def html(self, template: str, **values: Any) -> str:
        """Return a part of a page."""
        shared = {"instance": self.instance, "provider": self.provider_name, "read_only": self.read_only}
        return TEMPLATES.get_template(template).render(shared | values)

    def respond(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page with the token of its forms."""
        csrf = request.state.session.csrf
        text = self.html(template, csrf=csrf, active=self.changes.active(), path=request.url.path, **values)
        return HTMLResponse(text, status)


def page_of(request: Request) -> Page:
    """Return the page to which a request belongs."""
    page: Page = request.app.state.page
    return page


def form_of(request: Request) -> dict[str, str]:
    """Return the fields of the request's form."""
    form: dict[str, str] = request.state.form
    return form


def require_changes(request: Request) -> None:
    """Raise `HTTPException` for a form of a page that changes nothing."""
    if page_of(request).read_only:
        raise HTTPException(HTTPStatus.FORBIDDEN, READ_ONLY)


def redirect(path: str) -> RedirectResponse:
    """Return the answer to a form that leads a browser to a page."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def progress_of(change: Change) -> RedirectResponse:
    """Return the answer to a form that leads a browser to a change and its progress."""
    return redirect(f"/changes/{change.id}")


def started(request: Request, task: Task, refused: Callable[[str], Response]) -> Response:
    """Start a change, and lead the browser to it; `refused` answers with the reason for which it cannot start."""
    page = page_of(request)
    try:
        change = page.changes.start(page.context, task)
    except UserError as error:
        return refused(str(error))
    return progress_of(change)


def wrong_name(request: Request, name: str) -> str | None:
    """Return why the name that a form asks for is not typed in it, None where it is."""
    typed = form_of(request).get("name", "")
    return None if typed.strip() == name else f"{typed!r} is not the name {name}: nothing is changed."
