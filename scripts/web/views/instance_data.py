"""The parts of the instance's view that AWS, the engine and queries answer. Each loads by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.exceptions import HTTPException

from components.core.names import instance_domain
from scripts.instances.check import quotas_of_instance
from scripts.web.data import alerts
from scripts.web.data.certificates import certificates
from scripts.web.data.updates import last_operations
from scripts.web.page import page_of
from scripts.web.views import parts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from scripts.web.page import Page


def _certificates(page: Page) -> Any:
    domain = instance_domain(page.instance, page.subject.config().domain)
    return certificates(page.subject.target().aws, domain)


def _quotas(page: Page) -> Any:
    return quotas_of_instance(page.context, page.provider_name, page.instance)


def _updates(page: Page) -> Any:
    return last_operations(page.subject.target(), page.instance)


def _in_thread(work: Callable[[Page], Any]) -> Callable[[Page], Awaitable[Any]]:
    return lambda page: anyio.to_thread.run_sync(work, page)


async def _alerts(page: Page) -> Any:
    return [await alerts.of_platform(page.subject, page.queries)]


PARTS: Mapping[str, Callable[[Page], Awaitable[Any]]] = {
    "alerts": _alerts,
    "certificates": _in_thread(_certificates),
    "quotas": _in_thread(_quotas),
    "updates": _in_thread(_updates),
}


async def part(request: Request) -> Response:
    """Answer with a part of the instance's data, or with one sentence that says why there is none."""
    page, wanted = page_of(request), request.path_params["part"]
    if wanted not in PARTS:
        raise HTTPException(404, "There is no such part of an instance.")
    return await parts.answer(page, wanted, PARTS[wanted](page))
