"""Parts of a view that load by themselves: what was found, or one sentence that says why there is nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse

from scripts.clients.errors import REPAIRABLE
from scripts.web.fault import reported

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from scripts.web.page import Page


async def answer(page: Page, name: str, asked: Awaitable[Any]) -> HTMLResponse:
    """Return the part of a name with what `asked` gives. Text, and errors, are the reason why there is nothing."""
    found, why = None, None
    try:
        found = await asked
    except REPAIRABLE as error:
        why = str(error)
    except Exception as fault:
        why = reported(fault)
    if isinstance(found, str):
        found, why = None, found
    return HTMLResponse(page.html("data/part.html", name=name, found=found, why=why, read_at=time.time()))
