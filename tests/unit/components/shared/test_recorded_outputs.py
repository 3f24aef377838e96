"""The outputs of the last update are read once in a program, and whole."""

import pulumi
import pytest

from components.shared.recorded_outputs import recorded_outputs


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
