"""Bad input to the command: each gets one clear error, and nothing changes."""

import os
import socket
from collections.abc import Iterator

import pytest
from ruamel.yaml import YAML

from tests.support.shell import run
from tests.support.user_session import INSTANCE, UserSession


def _copied(walk: UserSession, name: str, **changes: object) -> None:
    """Write the stack file `name`, a copy of the instance's with other settings."""
    yaml = YAML()
    content = yaml.load(walk.stack_path.read_text())
    for key, value in changes.items():
        content["config"][f"opstrace:{key}"].update(value)
    content["config"]["opstrace:name"] = name
    with walk.project.stack_path(name).open("w") as file:
        yaml.dump(content, file)


@pytest.fixture
def other(walk: UserSession) -> Iterator[str]:
    yield "other"
    walk.project.stack_path("other").unlink(missing_ok=True)


def test_a_port_in_use_is_reported_with_its_process(walk: UserSession) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 8452))
        taken.listen()
        shell = walk.shell | {"OPSTRACE_LOCAL_SLOT": "9"}
        done = run(walk.project.launcher, "local", "up", env=shell, check=False)
    assert done.returncode == 1
    assert "port 8452 of 127.0.0.1 is in use by" in done.stderr and f"(process {os.getpid()})" in done.stderr


def test_an_unreachable_aws_is_reported(walk: UserSession, other: str) -> None:
    _copied(walk, other, aws={"endpoints": {"sts": "http://127.0.0.1:1"}})
    done = run(walk.project.launcher, "create", "aws", other, cwd=walk.folder.parent, env=walk.shell, check=False)
    assert done.returncode == 1 and "AWS refuses access" in done.stderr
    assert "Traceback" not in done.stderr and not list(walk.folder.parent.glob("tenant-api-token-*"))


def test_a_missing_cluster_is_reported(walk: UserSession, other: str) -> None:
    _copied(walk, other, cluster={"context": "nowhere"})
    done = run(walk.project.launcher, "create", "aws", other, cwd=walk.folder.parent, env=walk.shell, check=False)
    assert done.returncode == 1 and "the context nowhere" in done.stderr and "Traceback" not in done.stderr


def test_a_second_instance_in_the_cluster_is_refused_by_the_name_of_the_first(walk: UserSession, other: str) -> None:
    _copied(walk, other)
    done = run(walk.project.launcher, "create", "aws", other, cwd=walk.folder.parent, env=walk.shell, check=False)
    assert done.returncode == 1 and f"has the instance {INSTANCE} (namespace" in done.stderr


def test_token_files_of_another_instance_are_not_overwritten(walk: UserSession) -> None:
    before = walk.token("default")
    done = walk.opstrace("create", "local", "another", "--tenant", "default", check=False)
    assert done.returncode == 1 and "is no token of another" in done.stderr
    assert walk.token("default") == before and not walk.project.stack_path("another").exists()


def test_a_missing_instance_is_reported_with_the_existing_ones(walk: UserSession) -> None:
    done = walk.opstrace("destroy", "local", "nosuch", "--yes", check=False)
    assert done.returncode == 1 and f"there are {INSTANCE}" in done.stderr
