"""What `tenants add`, `set` and `remove` print as JSON: what they did, and how each file changed."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from components.core.errors import UserError
from scripts.cli.tenants.edit import add, set_
from scripts.cli.tenants.remove import remove
from scripts.stackfile.file import StackFile
from tests.support.contexts import FakeContext, invoke


def call(context: FakeContext, verb: click.Command, *arguments: str) -> Result:
    return invoke(context, verb, "local", "showdown", *arguments, "--no-apply", "--json")


def json_of(context: FakeContext, verb: click.Command, *arguments: str) -> dict[str, Any]:
    """Return the one JSON object that a verb that only edits prints on stdout."""
    done = call(context, verb, *arguments)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_what_an_edit_changes_is_told_with_its_difference(stack: Path, context: FakeContext) -> None:
    before = stack.read_text()
    added = json_of(context, add, "ops", "retention.metrics=30d")
    assert added.keys() == {"tenant", "applied", "files", "tokens"}
    assert (added["tenant"], added["applied"], added["tokens"]) == ("ops", False, [])
    assert [*added["files"]] == [stack.name]
    diff = added["files"][stack.name].splitlines()
    assert diff[:2] == [f"--- {stack.name}", f"+++ {stack.name}"]
    assert [line for line in diff[2:] if line.startswith(("+", "-"))] == [
        "+    - name: ops",
        "+      retention:",
        "+        metrics: 30d",
    ]
    changed = json_of(context, set_, "ops", "owner=team-a")["files"][stack.name]
    assert "+      owner: team-a\n" in changed and "+    - name: ops" not in changed
    assert json_of(context, set_, "ops", "owner=team-a") == {"tenant": "ops", "applied": False, "files": {}}
    assert "-    - name: ops\n" in json_of(context, remove, "ops")["files"][stack.name]
    assert stack.read_text() == before


def test_a_difference_can_be_applied_where_the_file_has_no_newline_at_its_end(
    stack: Path, context: FakeContext
) -> None:
    text, tenants = stack.read_text(), "  opstrace:tenants:\n    - name: default\n"
    stack.write_text((text.replace(tenants, "") + tenants).rstrip("\n"))
    patch = json_of(context, set_, "default", "owner=team-a")["files"][stack.name]
    assert "\n\\ No newline at end of file\n+" in patch and patch.endswith("\n")


def test_a_file_that_is_made_and_one_that_is_removed_are_told_as_such(stack: Path, context: FakeContext) -> None:
    (name, new_file), *others = json_of(context, add, "ops", "owner=team-a", "--own-stack")["files"].items()
    assert name == "Pulumi.showdown.ops.yaml" and not others
    assert new_file.startswith(f"--- /dev/null\n+++ {name}\n") and "+    owner: team-a\n" in new_file
    file = StackFile("showdown.ops", stack.parent)
    file.remove()
    gone = file.changes()[name]
    assert gone.startswith(f"--- {name}\n+++ /dev/null\n") and "-    owner: team-a\n" in gone


@pytest.mark.parametrize(
    ("verb", "arguments"), [(add, ("default",)), (set_, ("default", "retenton=30d")), (remove, ("default",))]
)
def test_what_is_refused_prints_no_json(context: FakeContext, verb: click.Command, arguments: tuple[str, ...]) -> None:
    done = call(context, verb, *arguments)
    assert isinstance(done.exception, UserError) and done.stdout == ""
