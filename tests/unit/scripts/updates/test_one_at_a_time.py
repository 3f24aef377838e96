"""Commands on several stacks of an instance: the second says which one runs."""

import os
from pathlib import Path

import pytest

from components.core.errors import UserError
from scripts.updates.one_at_a_time import one_at_a_time

HERE, ELSEWHERE = {"PULUMI_BACKEND_URL": "file:///here"}, {"PULUMI_BACKEND_URL": "file:///elsewhere"}


def test_the_second_command_is_told_which_one_runs() -> None:
    with (
        one_at_a_time("showdown", HERE, "./opstrace up aws showdown"),
        pytest.raises(UserError, match=rf"`./opstrace up aws showdown` runs since .*Z as process {os.getpid()}"),
        one_at_a_time("showdown", HERE, "another"),
    ):
        raise AssertionError
    with one_at_a_time("showdown", HERE, "after the first"):
        pass


def test_other_instances_and_backends_are_free() -> None:
    with (
        one_at_a_time("showdown", HERE, "") as first,
        one_at_a_time("other", HERE, "") as second,
        one_at_a_time("showdown", ELSEWHERE, "") as third,
    ):
        assert len({first, second, third}) == 3


def test_what_a_killed_command_left_stops_nobody() -> None:
    with one_at_a_time("showdown", HERE, "") as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["lock", "running.json"]
    (folder / "running.json").write_text("{")  # its lock ended with it
    with one_at_a_time("showdown", HERE, "next"):
        assert "next" in (folder / "running.json").read_text()


def test_the_folder_is_the_user_s_alone(state: Path) -> None:
    with one_at_a_time("showdown", HERE, "") as folder:
        assert folder.is_relative_to(state) and folder.stat().st_mode & 0o077 == 0
