"""Bad input to the command: one clear error each, and nothing is changed."""

import os
import socket

import pytest
from ruamel.yaml import YAML

from tests.e2e.walk import INSTANCE, LAUNCHER, STACK_FILE, Walk
from tests.shell import ROOT, run


def _copied(name: str, **changes: object) -> None:
    """Write the stack file `name` as the instance's, with other settings."""
    yaml = YAML()
    content = yaml.load(STACK_FILE.read_text())
    for key, value in changes.items():
        content["config"][f"opstrace:{key}"].update(value)
    with (ROOT / "stacks" / f"Pulumi.{name}.yaml").open("w") as file:
        yaml.dump(content, file)


@pytest.fixture
def other():
    yield "other"
    (ROOT / "stacks" / "Pulumi.other.yaml").unlink(missing_ok=True)


def test_a_port_in_use_is_told_with_the_process_that_has_it(walk: Walk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 8452))
        taken.listen()
        shell = walk.shell | {"OPSTRACE_LOCAL_SLOT": "9"}
        done = run(LAUNCHER, "local", "up", env=shell, check=False)
    assert done.returncode == 1
    assert "port 8452 of 127.0.0.1 is in use by" in done.stderr and f"(process {os.getpid()})" in done.stderr


def test_an_aws_that_does_not_answer_is_told(walk: Walk, other: str) -> None:
    _copied(other, aws={"endpoints": {"sts": "http://127.0.0.1:1"}})
    done = run(LAUNCHER, "create", "aws", other, cwd=walk.folder.parent, env=walk.shell, check=False)
    assert done.returncode == 1 and "AWS does not let the caller in" in done.stderr
    assert "Traceback" not in done.stderr and not list(walk.folder.parent.glob("tenant-api-token-*"))


def test_a_cluster_that_is_not_there_is_told(walk: Walk, other: str) -> None:
    _copied(other, cluster={"context": "nowhere"})
    done = run(LAUNCHER, "create", "aws", other, cwd=walk.folder.parent, env=walk.shell, check=False)
    assert done.returncode == 1 and "the context nowhere" in done.stderr and "Traceback" not in done.stderr


def test_a_second_instance_in_the_cluster_is_refused_by_the_name_of_the_first(walk: Walk, other: str) -> None:
    _copied(other)
    done = run(LAUNCHER, "create", "aws", other, cwd=walk.folder.parent, env=walk.shell, check=False)
    assert done.returncode == 1 and f"holds the instance {INSTANCE} already" in done.stderr


def test_token_files_of_another_instance_are_not_overwritten(walk: Walk) -> None:
    before = walk.token("default")
    done = walk.opstrace("create", "local", "another", "--tenant", "default", check=False)
    assert done.returncode == 1 and "is no token of another" in done.stderr
    assert walk.token("default") == before and not (ROOT / "stacks" / "Pulumi.another.yaml").exists()


def test_no_such_instance_is_told_with_those_that_are_there(walk: Walk) -> None:
    done = walk.opstrace("destroy", "local", "nosuch", "--yes", check=False)
    assert done.returncode == 1 and f"there are {INSTANCE}" in done.stderr
