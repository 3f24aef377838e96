"""`pulumi stack rename` on a bare cloud: nothing is replaced, and the error names the command that undoes it."""

import re
from collections.abc import Iterator

import pytest

from components.config.stack import stack_name
from tests.support.census import of_cloud
from tests.support.stack import INSTANCE, TEMPORARY, Stack

RENAMED = "crashed"
OWN = stack_name(INSTANCE, TEMPORARY)


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
