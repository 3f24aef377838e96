"""The entry point of the program: which of the SDK's messages reach the engine."""

from typing import Any

import pulumi
import pytest

from components.shared.program import DEBUG_LOG, run_program
from tests.support.pulumi_mocks import run_to_end


async def main() -> None:
    """Log, as the SDK does."""
    pulumi.log.debug("registering")
    pulumi.log.warn("careful")


@pytest.mark.parametrize(("variable", "messages"), [("", ["careful"]), ("1", ["registering", "careful"])])
def test_debug_messages_reach_the_engine_on_request_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str, messages: list[str]
) -> None:
    sent, mains = list[str](), list[Any]()
    monkeypatch.setenv(DEBUG_LOG, variable)
    for severity in ("debug", "warn"):
        monkeypatch.setattr(pulumi.log, severity, sent.append)
    monkeypatch.setattr(pulumi, "run", mains.append)
    run_program(main)
    run_to_end(mains[0]())
    assert sent == messages
