"""What `tenants add`, `set` and `remove` print for machines: what was done, and what became of which file."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from components.errors import UserError
from scripts.stackfile import StackFile
from scripts.tenant_edits import add, set_
from scripts.tenant_removal import remove


def call(verb: click.Command, *arguments: str) -> Result:
    return CliRunner().invoke(verb, ["local", "showdown", *arguments, "--no-apply", "--json"])


def told(verb: click.Command, *arguments: str) -> dict[str, Any]:
    """Return what a verb that only edits prints on stdout, which is one JSON object and nothing else."""
    done = call(verb, *arguments)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_what_an_edit_changes_is_told_with_its_difference(stack: Path) -> None:
    before = stack.read_text()
    added = told(add, "ops", "retention.metrics=30d")
    assert added.keys() == {"tenant", "applied", "files"} and (added["tenant"], added["applied"]) == ("ops", False)
    assert [*added["files"]] == [stack.name]
    diff = added["files"][stack.name].splitlines()
    assert diff[:2] == [f"--- {stack.name}", f"+++ {stack.name}"]
    assert [line for line in diff[2:] if line.startswith(("+", "-"))] == [
        "+    - name: ops",
        "+      retention:",
        "+        metrics: 30d",
    ]
    changed = told(set_, "ops", "owner=team-a")["files"][stack.name]
    assert "+      owner: team-a\n" in changed and "+    - name: ops" not in changed
    assert told(set_, "ops", "owner=team-a") == {"tenant": "ops", "applied": False, "files": {}}
    assert "-    - name: ops\n" in told(remove, "ops")["files"][stack.name]
    assert stack.read_text() == before


def test_a_difference_can_be_applied_where_the_file_has_no_newline_at_its_end(stack: Path) -> None:
    stack.write_text(stack.read_text().rstrip("\n"))
    patch = told(set_, "default", "owner=team-a")["files"][stack.name]
    assert "\n\\ No newline at end of file\n+" in patch and patch.endswith("\n")


def test_a_file_that_is_made_and_one_that_is_removed_are_told_as_such(stack: Path) -> None:
    (name, made), *others = told(add, "ops", "owner=team-a", "--own-stack")["files"].items()
    assert name == "Pulumi.showdown.ops.yaml" and not others
    assert made.startswith(f"--- /dev/null\n+++ {name}\n") and "+    owner: team-a\n" in made
    file = StackFile("showdown.ops", stack.parent)
    file.remove()
    gone = file.changes()[name]
    assert gone.startswith(f"--- {name}\n+++ /dev/null\n") and "-    owner: team-a\n" in gone


@pytest.mark.parametrize(
    ("verb", "arguments"), [(add, ("default",)), (set_, ("default", "retenton=30d")), (remove, ("default",))]
)
def test_what_is_refused_prints_no_json(stack: Path, verb: click.Command, arguments: tuple[str, ...]) -> None:
    done = call(verb, *arguments)
    assert isinstance(done.exception, UserError) and done.stdout == ""
