"""The outputs of the last update are read once in a program, and whole."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components.core.resource_names import READ_STACK_RESOURCE_OUTPUTS
from components.shared.recorded_outputs import recorded_by_tags, recorded_outputs
from tests.support.pulumi_mocks import run_to_end


def test_the_engine_reads_the_state_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def invoke(token: str, arguments: dict[str, str]) -> object:
        calls.append((token, arguments))
        return type("Result", (), {"value": {"outputs": {"instance": "showdown"}}})

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    assert [recorded_outputs() for _ in range(2)] == [{"instance": "showdown"}] * 2
    assert len(calls) == 1


def test_half_a_state_file_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [Exception("invocation of … returned an error: failed to load checkpoint: EOF")] * 2

    def invoke(_token: str, _arguments: dict[str, str]) -> object:
        if errors:
            raise errors.pop()
        return type("Result", (), {"value": {"outputs": {"instance": "showdown"}}})

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    assert recorded_outputs() == {"instance": "showdown"}


def test_another_failure_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def invoke(token: str, _arguments: dict[str, str]) -> object:
        calls.append(token)
        raise Exception("failed to load checkpoint: permission denied")

    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    with pytest.raises(Exception, match="permission denied"):
        recorded_outputs()
    assert len(calls) == 1


OWN = {"opstrace:instance": "showdown", "team": "a"}


def tagged(monkeypatch: pytest.MonkeyPatch, *tags: Mapping[str, str] | None, organization: str = "organization") -> Any:
    """Return what the tags of a state's resources name, in an update; a resource with None has no outputs."""
    asked: list[str] = []

    def invoke(token: str, _arguments: dict[str, str]) -> object:
        asked.append(token)
        outputs = {str(number): {"outputs": None if one is None else {"tags": one}} for number, one in enumerate(tags)}
        return type("Result", (), {"value": {"outputs": outputs}})

    async def urn() -> str:
        asked.append("the URN of the stack")
        return "urn"

    root = SimpleNamespace(urn=SimpleNamespace(future=urn))
    monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
    monkeypatch.setattr(pulumi.runtime, "get_root_resource", lambda: root)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    for what, value in {"organization": organization, "project": "opstrace", "stack": "showdown2"}.items():
        monkeypatch.setattr(pulumi, f"get_{what}", lambda value=value: value)
    found = run_to_end(recorded_by_tags())
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
    assert run_to_end(recorded_by_tags()) == {}
