"""The parts of the instance's view that AWS, the engine and queries answer. Each loads by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from components.core.names import instance_domain
from scripts.clients.errors import REPAIRABLE
from scripts.instances.check import quotas_of_instance
from scripts.web.data import alerts
from scripts.web.data.certificates import certificates
from scripts.web.page import page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from scripts.web.page import Page

MOST_OPERATIONS = 10


def _certificates(page: Page) -> Any:
    domain = instance_domain(page.instance, page.subject.config().domain)
    return certificates(page.subject.target().aws, domain)


def _quotas(page: Page) -> Any:
    return quotas_of_instance(page.context, page.provider_name, page.instance)


def _updates(page: Page) -> Any:
    return page.subject.target().engine.operations(MOST_OPERATIONS)


SLOW: Mapping[str, Callable[[Page], Any]] = {"certificates": _certificates, "quotas": _quotas, "updates": _updates}
ALERTS = "alerts"


async def part(request: Request) -> Response:
    """Answer with a part of the instance's data, or with one sentence that says why there is none."""
    page, wanted = page_of(request), request.path_params["part"]
    if wanted != ALERTS and wanted not in SLOW:
        raise HTTPException(404, "There is no such part of an instance.")
    why, found = None, None
    try:
        if wanted == ALERTS:
            found = [await alerts.of_platform(page.subject, page.queries)]
        else:
            found = await anyio.to_thread.run_sync(partial(SLOW[wanted], page))
    except REPAIRABLE as error:
        why = str(error)
    return HTMLResponse(page.html(f"data/{wanted}.html", found=found, why=why))
