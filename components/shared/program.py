"""The entry point of a Pulumi program."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pulumi

from components.core.errors import UserError

DEBUG_LOG = "OPSTRACE_DEBUG_LOG"
SENDING_SECONDS = 0.01  # until the SDK has sent what was declared; it sends while the program waits


def run_program(main: Callable[[], Awaitable[None]]) -> None:
    """Let the SDK await `main`; a `UserError` from it ends the program with its text, without a traceback."""

    async def reported() -> None:
        try:
            await main()
        except UserError as error:
            raise pulumi.RunError(str(error)) from None

    _skip_debug_log()
    pulumi.run(reported)


async def send_registrations() -> None:
    """Let the SDK send the engine the resources that were declared, so that the engine works while the program goes on.

    Without that, the SDK sends nothing before the program has declared everything.
    """
    await asyncio.sleep(SENDING_SECONDS)


def _skip_debug_log() -> None:
    """Send none of the SDK's debug messages to the engine, unless the variable `DEBUG_LOG` is set.

    The SDK sends four of them for each resource, and waits for the engine's answer to each. Only `pulumi up --debug` shows
    them.
    """

    def skip(*_: Any, **__: Any) -> None:
        """Do nothing."""

    if not os.environ.get(DEBUG_LOG):
        pulumi.log.debug = skip
