"""Recovery of a stack: when it looks for lost resources, in which order, and what it does with orphans."""

from typing import Any

import pytest

from components.core.errors import UserError
from components.core.resource_names import ROLE_TYPE, build_urn
from scripts.engine.recovery import Recovery

URN = build_urn("showdown", ROLE_TYPE, "lost-role")
PENDING = {"type": "creating", "resource": {"urn": URN, "type": ROLE_TYPE, "id": "lost", "parent": "urn:destroyed"}}


class Stack:
    """A stack's reader and operations in one object, which records the calls."""

    def __init__(self, *results: str, pending: bool = False) -> None:
        self.stack = "showdown"
        self.calls: list[str] = []
        self._results = [*results]
        self._state = {"deployment": {"resources": [], **({"pending_operations": [PENDING]} if pending else {})}}

    def export(self) -> dict[str, Any]:
        self.calls.append("export")
        return self._state

    def results(self) -> list[str]:
        self.calls.append("history")
        return self._results

    def run(self, *arguments: str) -> None:
        self.calls.append(arguments[0])

    def run_with(self, content: dict[str, Any], *arguments: str) -> None:
        self.calls.append(" ".join(arguments))
        self._state = content


def recovery(stack: Stack) -> Recovery:
    parts: Any = stack
    return Recovery(parts, parts)


def settle(stack: Stack, *, thorough: bool = False) -> bool:
    unused: Any = None
    return recovery(stack).settle(unused, unused, thorough=thorough)


@pytest.mark.parametrize("results", [(), ("succeeded", "failed")])
def test_a_stack_without_traces_of_a_kill_is_only_read(results: tuple[str, ...]) -> None:
    stack = Stack(*results)
    assert not settle(stack)
    assert stack.calls == ["export", "history"]


def test_a_failed_last_update_is_a_reason_to_look() -> None:
    stack = Stack("failed", "succeeded")
    assert settle(stack)
    assert stack.calls == ["export", "history", "refresh", "export"]


def test_a_thorough_recovery_reads_the_state_before_anything_else() -> None:
    """Reading repairs a truncated state file, which a refresh would refuse."""
    stack = Stack("succeeded")
    assert settle(stack, thorough=True)
    assert stack.calls == ["export", "refresh", "export"]


def test_orphans_are_named_and_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    stack = Stack(pending=True)
    subject = recovery(stack)
    subject.require_no_orphans()
    unused: Any = None
    assert subject.settle(unused, unused, thorough=False)
    assert "lost-role: lost" in capsys.readouterr().err
    assert stack.calls[-3:] == ["export", "stack import", "refresh"] and not stack.export()["deployment"]["resources"]
    with pytest.raises(UserError, match="delete them by hand"):
        subject.require_no_orphans()
