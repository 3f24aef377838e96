"""The engine gets only options that each of its operations has."""

import os
from pathlib import Path
from typing import Any

import click
import pytest

from scripts.engine.operations import Operations
from scripts.engine.stack_state import BY_HAND, message_of, operation_of
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
    (arguments,) = pulumi.arguments
    assert arguments[:3] == ("up", "--yes", "--suppress-outputs") and arguments[-2:] == ("--stack", "showdown")


def test_the_history_gets_who_runs_an_operation_and_for_what(pulumi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    monkeypatch.setattr("socket.gethostname", lambda: "desk")
    with click.Context(click.Command("add"), info_name="opstrace tenants add"):
        Operations(pulumi, "showdown").run("up", "--yes")
    Operations(pulumi, "showdown").run("refresh")
    Operations(pulumi, "showdown").run_with({}, "stack", "import")  # which takes no message
    messages = [line[line.index("--message") + 1] for line in pulumi.arguments if "--message" in line]
    assert messages == ["ann@desk: opstrace tenants add", "ann@desk: opstrace"]


def test_a_user_without_a_name_is_told_by_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert message_of("up").startswith(f"{os.getuid()}@")


@pytest.mark.parametrize(
    ("environment", "user", "purpose"),
    [
        ({"pulumi.flag.message": "set"}, "ann@desk", "opstrace up"),
        (
            {"git.author": "Bob"},
            BY_HAND,
            "ann@desk: opstrace up",
        ),  # the subject of a commit, which anybody may have written
    ],
)
def test_an_entry_of_the_history_tells_who_and_what(environment: dict[str, str], user: str, purpose: str) -> None:
    changes = {"create": 3, "same": 7, "delete": 0}
    entry = {"kind": "update", "result": "succeeded", "startTime": "2026-11-30T13:11:02.000Z"}
    found = operation_of(
        entry | {"message": "ann@desk: opstrace up", "environment": environment, "resourceChanges": changes}
    )
    assert (found.user, found.purpose, found.changes) == (user, purpose, {"create": 3})
    assert operation_of(entry).purpose == "without a message"


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
