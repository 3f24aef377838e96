"""The outputs of the last update are read once in a program, and whole."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from components.core.resource_names import READ_STACK_RESOURCE_OUTPUTS
from components.shared import recorded_outputs as recorded_outputs_module
from components.shared.recorded_outputs import (
    named_by_tags,
    recorded_outputs,
    recorded_resources,
    state_resources,
)
from tests.support.pulumi_mocks import run_to_end
from tests.support.recorded_state import answer_with


def test_the_engine_reads_the_state_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def invoke(token: str, arguments: dict[str, str]) -> object:
        calls.append((token, arguments))
        return {"instance": "showdown"}

    answer_with(monkeypatch, invoke)
    assert [recorded_outputs() for _ in range(2)] == [{"instance": "showdown"}] * 2
    assert len(calls) == 1


def test_half_a_state_file_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [Exception("invocation of … returned an error: failed to load checkpoint: EOF")] * 2

    def invoke(_token: str, _arguments: dict[str, str]) -> object:
        if errors:
            raise errors.pop()
        return {"instance": "showdown"}

    answer_with(monkeypatch, invoke)
    assert recorded_outputs() == {"instance": "showdown"}


def test_another_failure_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def invoke(token: str, _arguments: dict[str, str]) -> object:
        calls.append(token)
        raise Exception("failed to load checkpoint: permission denied")

    answer_with(monkeypatch, invoke)
    with pytest.raises(Exception, match="permission denied"):
        recorded_outputs()
    assert len(calls) == 1


async def _named() -> Mapping[str, Any]:
    return named_by_tags(await state_resources())


OWN = {"opstrace:instance": "showdown", "team": "a"}


def tagged(monkeypatch: pytest.MonkeyPatch, *tags: Mapping[str, str] | None, organization: str = "organization") -> Any:
    """Return what the tags of a state's resources name, in an update; a resource with None has no outputs."""
    asked: list[str] = []

    def invoke(token: str, _arguments: dict[str, str]) -> object:
        asked.append(token)
        return {
            str(number): {"type": "t", "outputs": None if one is None else {"tags": one}}
            for number, one in enumerate(tags)
        }

    async def urn() -> str:
        asked.append("the URN of the stack")
        return "urn"

    root = SimpleNamespace(urn=SimpleNamespace(future=urn))
    answer_with(monkeypatch, invoke)
    monkeypatch.setattr(recorded_outputs_module, "recorded_outputs", dict)
    monkeypatch.setattr(pulumi.runtime, "get_root_resource", lambda: root)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    for what, value in {"organization": organization, "project": "opstrace", "stack": "showdown2"}.items():
        monkeypatch.setattr(pulumi, f"get_{what}", lambda value=value: value)
    found = run_to_end(_named())
    assert asked in ([], ["the URN of the stack", READ_STACK_RESOURCE_OUTPUTS])
    return found if asked else None


def test_tags_name_the_instance_and_the_tenants_of_a_first_update_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    tenants = [OWN | {"opstrace:tenant": name} for name in ("system", "shop")]
    assert tagged(monkeypatch, None, {}, OWN, *tenants) == {"instance": "showdown", "tenants": {"shop": None}}
    assert tagged(monkeypatch) == tagged(monkeypatch, None, {"team": "a"}) == {}


def test_a_state_that_the_engine_may_not_have_written_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine would end with a panic."""
    assert tagged(monkeypatch, OWN, organization="of-the-service") is None
    monkeypatch.setenv("PULUMI_SKIP_CHECKPOINTS", "true")
    assert tagged(monkeypatch, OWN) is None


def test_a_preview_reads_no_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    monkeypatch.setattr(pulumi.runtime, "get_root_resource", SimpleNamespace)
    monkeypatch.setattr(pulumi, "get_organization", lambda: "organization")
    monkeypatch.setattr(recorded_outputs_module, "recorded_outputs", dict)
    assert run_to_end(state_resources()) == {}


def test_outputs_are_converted_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion of all of them takes seconds."""
    state = {"urn": {"type": "a", "outputs": {"size": 2}}, "other": {"type": "b", "outputs": None}}
    answer_with(monkeypatch, lambda token, _: state if token == READ_STACK_RESOURCE_OUTPUTS else {"instance": "x"})
    converted, convert = [], rpc.deserialize_properties_unwrap_secrets

    def note(properties: struct_pb2.Struct) -> Any:
        converted.append(properties)
        return convert(properties)

    monkeypatch.setattr(rpc, "deserialize_properties_unwrap_secrets", note)
    found = recorded_resources()
    assert len(converted) == 1  # the outputs of the stack
    assert {urn: (entry.type, dict(entry.outputs)) for urn, entry in found.items()} == {
        "urn": ("a", {"size": 2}),
        "other": ("b", {}),
    }
