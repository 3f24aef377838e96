"""The entry point of the program: which messages and stack traces of the SDK reach the engine."""

from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor

from components.shared.kubernetes_object import KubernetesObject
from components.shared.program import DEBUG_LOG, run_program
from tests.support.pulumi_mocks import record, run_to_end, unchanged_sdk


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
    unchanged_sdk(monkeypatch)
    for severity in ("debug", "warn"):
        monkeypatch.setattr(pulumi.log, severity, sent.append)
    monkeypatch.setattr(pulumi, "run", mains.append)
    run_program(main)
    run_to_end(mains[0]())
    assert sent == messages


@pytest.mark.parametrize(("variable", "are_sent"), [("", False), ("1", True)])
def test_stack_traces_reach_the_engine_on_request_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str, are_sent: bool
) -> None:
    requests = list[Any]()
    monkeypatch.setenv(DEBUG_LOG, variable)
    unchanged_sdk(monkeypatch)
    monkeypatch.setattr(pulumi, "run", lambda _: None)
    register = MockMonitor.RegisterResource

    def noted(monitor: MockMonitor, request: Any) -> Any:
        requests.append(request)
        return register(monitor, request)  # type: ignore[no-untyped-call]  # the SDK does not type its mocks

    monkeypatch.setattr(MockMonitor, "RegisterResource", noted)
    run_program(main)
    record(lambda: KubernetesObject("kubernetes:core/v1:ConfigMap", "settings", opts=pulumi.ResourceOptions()).urn)
    (sent,) = (request for request in requests if request.name == "settings")
    assert bool(sent.stackTrace.frames) == are_sent
    assert sent.HasField("sourcePosition") == are_sent
