"""The project folder of the tests: commands there use its stack files, and the session check sees those of the checkout."""

from pathlib import Path

import pytest

from tests.support.project import STACKS, make_project, stack_files_of_checkout
from tests.support.shell import ROOT, run


def test_commands_read_the_stack_files_of_the_project_that_they_run_in(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.stack_path("mine").write_text("config: {}\n")
    done = run(project.launcher, "ta-pubkeys-list", "local", "missing", cwd=Path("/"), check=False)
    assert done.returncode == 1 and "there are mine" in done.stderr
    assert not (ROOT / STACKS / "Pulumi.mine.yaml").exists()


def test_a_project_has_a_part_for_each_of_the_checkout_and_copies_of_its_stack_files(tmp_path: Path) -> None:
    parts = {part.name for part in ROOT.iterdir()} - {".git"}
    project = make_project(tmp_path)
    assert parts <= {part.name for part in project.folder.iterdir()}
    stacks = project.folder / STACKS
    assert not stacks.is_symlink() and not any(file.is_symlink() for file in stacks.iterdir())
    assert {file.name for file in stacks.iterdir()} == {
        "Pulumi.example-aws.yaml",
        "Pulumi.example-aws.team.yaml",
        "opstrace.schema.json",
    }


def test_the_check_of_the_checkout_sees_files_that_come_and_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / STACKS).mkdir()
    monkeypatch.setattr("tests.support.project.ROOT", tmp_path)
    before = stack_files_of_checkout()
    (tmp_path / STACKS / "Pulumi.mine.yaml").write_text("config: {}\n")  # a name that git ignores
    added = stack_files_of_checkout()
    (tmp_path / STACKS / "Pulumi.mine.yaml").write_text("config:\n")
    assert before == {} and [*added] == ["Pulumi.mine.yaml"] and added != stack_files_of_checkout()
