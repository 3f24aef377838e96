"""The entry point of a Pulumi program."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pulumi
from pulumi.runtime import resource
from pulumi.runtime.proto import source_pb2

from components.core.errors import UserError

DEBUG_LOG = "OPSTRACE_DEBUG_LOG"  # set it to let the SDK send debug messages and stack traces
TURNS = 20  # of the event loop; the SDK takes 7 for a resource whose inputs are known, more for one that needs another


def run_program(main: Callable[[], Awaitable[None]]) -> None:
    """Let the SDK await `main`; a `UserError` from it ends the program with its text, without a traceback."""

    async def reported() -> None:
        try:
            await main()
        except UserError as error:
            raise pulumi.RunError(str(error)) from None

    if not os.environ.get(DEBUG_LOG):
        _skip_debug_log()
        _skip_stack_traces()
    pulumi.run(reported)


async def send_registrations() -> None:
    """Let the SDK send the engine the resources that were declared, so that the engine works while the program goes on.

    Without that, the SDK sends nothing before the program has declared everything.
    """
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _skip_debug_log() -> None:
    """Send none of the SDK's debug messages to the engine.

    The SDK sends four of them for each resource, and waits for the engine's answer to each. Only `pulumi up --debug` shows
    them.
    """

    def skip(*_: Any, **__: Any) -> None:
        """Do nothing."""

    pulumi.log.debug = skip


def _skip_stack_traces() -> None:
    """Send no stack traces to the engine.

    The SDK takes one for each resource, which is a fifth of the time of a declaration. The engine writes them into the
    state, where they are a third of all bytes, and it writes the state at each step. Nothing reads them.
    """
    resource._get_stack_trace = source_pb2.StackTrace
