"""The entry point of a Pulumi program."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pulumi

from components.core.errors import UserError

DEBUG_LOG = "OPSTRACE_DEBUG_LOG"


def run_program(main: Callable[[], Awaitable[None]]) -> None:
    """Let the SDK await `main`; a `UserError` from it ends the program with its text, without a traceback."""

    async def reported() -> None:
        try:
            await main()
        except UserError as error:
            raise pulumi.RunError(str(error)) from None

    _skip_debug_log()
    pulumi.run(reported)


def _skip_debug_log() -> None:
    """Send none of the SDK's debug messages to the engine, unless the variable `DEBUG_LOG` is set.

    The SDK sends four of them for each resource, and waits for the engine's answer to each. Only `pulumi up --debug` shows
    them.
    """

    def skip(*_: Any, **__: Any) -> None:
        """Do nothing."""

    if not os.environ.get(DEBUG_LOG):
        pulumi.log.debug = skip
