"""`pulumi stack rename` on a bare cloud: nothing is replaced, and the error names the command that undoes it."""

import re
from collections.abc import Iterator

import pytest

from components.config.stack import stack_name
from tests.support.census import of_cloud
from tests.support.stack import INSTANCE, TEMPORARY, Stack

RENAMED = "crashed"
OWN = stack_name(INSTANCE, TEMPORARY)


def test_a_stack_whose_first_update_failed_is_not_replaced_under_another_name(bare_stack: Stack) -> None:
    """Its file has no `opstrace:name`, and its state no outputs; the tags of what it created name the instance.

    This comes before the tests for which the instance is deployed.
    """
    bare_stack.prepare("create")
    path = bare_stack.file
    whole = path.read_text()
    assert "opstrace:name" not in whole
    subnet = re.findall(r"subnet-\w+", whole)[0]
    path.write_text(whole.replace(subnet, "subnet-0"))
    failed = bare_stack.attempt("create")
    assert failed.returncode and bare_stack.resources(), failed.stdout
    before = of_cloud(bare_stack.cloud)
    assert before
    bare_stack.run("pulumi", "stack", "rename", RENAMED, "--stack", INSTANCE)
    done = bare_stack.run(
        "pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", RENAMED, check=False
    )
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode and f"this is the stack of {INSTANCE}, but it is named {RENAMED}" in output, output
    assert of_cloud(bare_stack.cloud) == before
    bare_stack.run("pulumi", "stack", "rename", INSTANCE, "--stack", RENAMED)
    path.write_text(path.read_text().replace("subnet-0", subnet))
    assert bare_stack.attempt("create").returncode == 0
    bare_stack.uninterrupted("destroy")


@pytest.fixture(scope="module")
def deployed(bare_stack: Stack) -> Iterator[Stack]:
    for phase in ("create", "add"):
        bare_stack.uninterrupted(phase)
    bare_stack.opstrace("tenants", "move", "aws", INSTANCE, TEMPORARY, "--to", "own-stack")
    yield bare_stack
    bare_stack.opstrace("tenants", "move", "aws", INSTANCE, TEMPORARY, "--to", "instance")
    bare_stack.uninterrupted("destroy")


@pytest.mark.parametrize(
    ("was", "name", "told"),
    [
        (INSTANCE, RENAMED, "named crashed"),
        (OWN, f"{INSTANCE}.third", "named crash.third"),
        (OWN, f"{RENAMED}.{TEMPORARY}", "tenantOf: is 'crash'"),
    ],
)
def test_a_renamed_stack_is_refused_until_the_change_is_undone(deployed: Stack, was: str, name: str, told: str) -> None:
    before = of_cloud(deployed.cloud)
    deployed.run("pulumi", "stack", "rename", name, "--stack", was)
    for verb in (["preview"], ["up", "--yes", "--skip-preview"]):
        done = deployed.run("pulumi", "--non-interactive", *verb, "--stack", name, check=False)
        output = " ".join((done.stdout + done.stderr).split())
        assert done.returncode and told in output, output
        assert of_cloud(deployed.cloud) == before
    (remedy,) = {*re.findall(r"`(pulumi stack rename [^`]*)`", output)}
    deployed.run(*remedy.split())
    deployed.run("pulumi", "--non-interactive", "preview", "--expect-no-changes", "--stack", was)
