"""The parts of one tenant's view that queries answer. Each loads by itself, so a slow one delays no other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.exceptions import HTTPException

from scripts.tenants.reports.list_and_show import effective_limits
from scripts.web.data import alerts, tenant
from scripts.web.data.limits import use_of_limits
from scripts.web.page import page_of
from scripts.web.views import parts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from scripts.web.page import Page


async def _use(page: Page, name: str) -> Any:
    if why := page.queries.why_off():
        return why
    limits = await anyio.to_thread.run_sync(partial(_limits, page, name))
    return await use_of_limits(page.subject, page.queries, name, limits)


def _limits(page: Page, name: str) -> Mapping[str, Mapping[str, Any] | None]:
    return effective_limits(page.subject.target().cluster, name, page.base_limits.of)


async def _answers(page: Page, name: str) -> Any:
    return await tenant.answers_by_code(page.subject, page.queries, name)


async def _errors(page: Page, name: str) -> Any:
    return await tenant.errors_of_pods(page.subject, page.queries, name)


async def _alerts(page: Page, name: str) -> Any:
    return await alerts.of_tenant(page.subject, page.queries, name)


PARTS: Mapping[str, Callable[[Page, str], Awaitable[Any]]] = {
    "use": _use,
    "answers": _answers,
    "errors": _errors,
    "alerts": _alerts,
}


async def part(request: Request) -> Response:
    """Answer with a part of a tenant's data, or with one sentence that says why there is none."""
    page, name, wanted = page_of(request), request.path_params["tenant"], request.path_params["part"]
    if wanted not in PARTS:
        raise HTTPException(404, f"There is no such part of a tenant {name}.")
    return await parts.answer(page, wanted, _asked(page, name, wanted))


async def _asked(page: Page, name: str, wanted: str) -> Any:
    """Return the part; a sentence for a tenant that the next update deletes."""
    settings = await anyio.to_thread.run_sync(page.subject.settings)
    return await PARTS[wanted](page, name) if name in settings else f"No stack file has the tenant {name}."
