"""The engine gets only options that each of its operations has."""

from typing import Any

import pytest

from scripts.engine.operations import Operations


class Shown:
    """An engine that keeps the arguments of its operations, which all succeed."""

    program, environment = "pulumi", dict[str, str]()

    def __init__(self) -> None:
        self.arguments: list[tuple[str, ...]] = []

    def require_program(self) -> None:
        """Return, as if the program were installed."""

    def show(self, *arguments: str) -> None:
        self.arguments.append(arguments)


@pytest.fixture
def pulumi(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("scripts.engine.operations.require_plugins", lambda *_: None)
    return Shown()


def test_an_update_hides_its_outputs(pulumi: Any) -> None:
    Operations(pulumi, "showdown").run("up", "--yes")
    assert pulumi.arguments == [("up", "--yes", "--suppress-outputs", "--stack", "showdown")]


def test_the_import_of_a_state_gets_no_option_about_outputs_which_it_does_not_have(pulumi: Any) -> None:
    Operations(pulumi, "showdown").run_with({}, "stack", "import")
    ((*command, option, _, flag, stack),) = pulumi.arguments
    assert (command, option, flag, stack) == (["stack", "import"], "--file", "--stack", "showdown")
