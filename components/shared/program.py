"""The entry point of a Pulumi program."""

from collections.abc import Awaitable, Callable

import pulumi

from components.core.errors import UserError


def run_program(main: Callable[[], Awaitable[None]]) -> None:
    """Let the SDK await `main`; a `UserError` from it ends the program with its text, without a traceback."""

    async def reported() -> None:
        try:
            await main()
        except UserError as error:
            raise pulumi.RunError(str(error)) from None

    pulumi.run(reported)
