"""The report of an update of several stacks."""

import pytest

from components.core.errors import UserError
from scripts.updates.result import MOST_SHOWN, Results, StackResult

AGAIN = "./opstrace up local showdown"


def results(*stacks: StackResult, interrupted: bool = False) -> Results:
    return Results(stacks, 62, AGAIN, interrupted)


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (
            StackResult("a", "changed", {"create": 33, "replace": 1, "same": 4}, 4.2),
            "a: 33 created, 1 replaced in 4.2 s",
        ),
        (StackResult("a", "unchanged", {"same": 4}, 4.2), "a: unchanged in 4.2 s"),
        (StackResult("a", "to change", {"update": 2, "delete": 1}, 4.2), "a: 2 to update, 1 to delete"),
        (StackResult("a", "new"), "a: new"),
        (StackResult("a", "failed", {"create": 3}, 4.2, "why"), "a: failed in 4.2 s"),
    ],
)
def test_a_line_tells_what_happened_to_a_stack(result: StackResult, line: str) -> None:
    assert str(result) == line


def test_what_is_complete_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    results(StackResult("a", "changed"), StackResult("b", "unchanged"), StackResult("c", "unchanged")).report()
    assert capsys.readouterr().err == "3 stacks in 1 min 02 s: 1 changed, 2 unchanged.\n"


def test_a_failure_is_told_with_the_end_of_the_output_and_the_command_that_completes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = [
        StackResult(f"s{number}", "failed", error=f"why {number}", tail=[f"line {number}"]) for number in range(7)
    ]
    with pytest.raises(UserError, match=rf"not complete: s0, .*s6, late.*{AGAIN}"):
        results(StackResult("a", "changed"), *failed, StackResult("late", "not started")).report()
    shown = capsys.readouterr().err
    assert all(f"s{number}: why {number}" in shown for number in range(7))
    assert [f"  | line {number}" in shown for number in range(7)] == [number < MOST_SHOWN for number in range(7)]


def test_an_interrupt_is_told_with_the_command_that_completes_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        results(StackResult("a", "interrupted", error="why"), interrupted=True).report()
    assert f"complete the rest: {AGAIN}" in capsys.readouterr().err


def test_json_has_each_stack() -> None:
    plain = results(StackResult("a", "failed", {"create": 1}, 4.21, "why")).plain()
    assert plain == {
        "complete": False,
        "seconds": 62,
        "stacks": [
            {"stack": "a", "outcome": "failed", "changes": {"create": 1}, "seconds": 4.2, "error": "why", "log": None}
        ],
    }
