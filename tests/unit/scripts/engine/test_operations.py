"""The engine gets only options that each of its operations has."""

from pathlib import Path
from typing import Any

import pytest

from scripts.engine.operations import Operations
from scripts.ui.output import STDERR, Stderr


class Shown:
    """An engine that keeps the arguments of its operations, which all succeed."""

    program, environment = "pulumi", dict[str, str]()

    def __init__(self) -> None:
        self.arguments: list[tuple[str, ...]] = []
        self.output: Stderr = STDERR

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


class Logging(Stderr):
    """An output that wants the engine's events in a new file for each operation."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def event_log(self) -> Path:
        self._count += 1
        return self._folder / f"{self._count}.jsonl"


def test_each_operation_that_can_log_its_events_gets_a_file_if_the_output_wants_them(
    pulumi: Any, tmp_path: Path
) -> None:
    pulumi.output = Logging(tmp_path)
    operations = Operations(pulumi, "showdown")
    operations.run("up", "--yes")
    operations.run_with({}, "stack", "import")
    operations.run("destroy")
    logged = [arguments[-1] for arguments in pulumi.arguments if "--event-log" in arguments]
    assert logged == [str(tmp_path / "1.jsonl"), str(tmp_path / "2.jsonl")]


def test_the_import_of_a_state_gets_no_option_about_outputs_which_it_does_not_have(pulumi: Any) -> None:
    Operations(pulumi, "showdown").run_with({}, "stack", "import")
    ((*command, option, _, flag, stack),) = pulumi.arguments
    assert (command, option, flag, stack) == (["stack", "import"], "--file", "--stack", "showdown")
