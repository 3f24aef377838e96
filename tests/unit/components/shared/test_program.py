"""The entry point of the program: which of the SDK's messages reach the engine."""

import asyncio
from typing import Any

import pulumi
import pytest

from components.shared.program import DEBUG_LOG, run_program


class Engine:
    """Keeps the texts of the messages that the SDK sends."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def Log(self, request: Any) -> None:
        self.messages.append(request.message)


async def main() -> None:
    """Log, as the SDK does."""
    pulumi.log.debug("registering")
    pulumi.log.warn("careful")


@pytest.mark.parametrize(("variable", "messages"), [("", ["careful"]), ("1", ["registering", "careful"])])
def test_debug_messages_reach_the_engine_on_request_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str, messages: list[str]
) -> None:
    engine, mains = Engine(), list[Any]()
    monkeypatch.setenv(DEBUG_LOG, variable)
    monkeypatch.setattr(pulumi.log, "debug", pulumi.log.debug)  # restored after the test
    monkeypatch.setattr(pulumi.log, "get_engine", lambda: engine)
    monkeypatch.setattr(pulumi, "run", mains.append)
    run_program(main)
    asyncio.run(mains[0]())
    assert engine.messages == messages
