"""Fixtures for all tests: an embedded cloud in the tests' own slot, with one instance."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from localcloud.node.pid1 import PRIVATE_FOLDERS
from tests.support import scheduling
from tests.support.cloud_processes import processes_of
from tests.support.polling import eventually
from tests.support.project import Project, make_project, stack_files_of_checkout
from tests.support.shell import ROOT, local_environment, run
from tests.support.user_session import CREATE, DESTROY, INSTANCE, LABELS, SLOT, UserSession, assert_account_empty, url

# Child processes find the project by PYTHONPATH: Python's -P leaves the working directory out of the path.
os.environ["PYTHONPATH"] = str(ROOT)
# Folders that a cloud must not leave on the host. The last one is kubelet's and the controller manager's default.
HOST_FOLDERS = (*PRIVATE_FOLDERS, "/usr/libexec/kubernetes")
TARGET_SECONDS = "20"  # the load balancer is slow, as on AWS, but not as slow
COMMAND_SECONDS = 3600  # the first run may build the tools from source
INTERNAL_ERROR_LINES = 12


pytest_xdist_make_scheduler = scheduling.make_scheduler
pytest_collection_modifyitems = scheduling.begin_with_the_longest
pytest_runtest_teardown = scheduling.end_clouds
internal_errors: list[str] = []


def pytest_internalerror(excrepr: object) -> None:
    """Keep what went wrong in pytest itself, in a process of the tests."""
    internal_errors.append(str(excrepr))


def pytest_unconfigure() -> None:
    """Print the first internal error last: those that follow from it hide it, and they hide which tests failed."""
    for error in internal_errors[:1]:
        print(
            "The first internal error ends with:",
            *error.splitlines()[-INTERNAL_ERROR_LINES:],
            sep="\n",
            file=sys.stderr,
        )


@pytest.fixture(scope="session", autouse=True)
def checkout_keeps_its_stack_files() -> Iterator[None]:
    """Fail at the end of the session if a file in the checkout's `stacks/` was added, changed or removed."""
    before = stack_files_of_checkout()
    yield
    after = stack_files_of_checkout()
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    assert not changed, f"changed in the checkout's stacks/ while the tests ran, by a test or by you: {changed}"


@pytest.fixture
def expected(request: pytest.FixtureRequest) -> set[str]:
    """The platform's alerts that a test with the mark `fires` lets fire."""
    return {alert for mark in request.node.iter_markers("fires") for alert in mark.args}


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    """Let pytest-httpserver listen on a free port of loopback."""
    return "127.0.0.1", 0


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The folder in which `./opstrace` and `pulumi` run."""
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def base_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user's environment with a new state folder and the tests' slot."""
    state = tmp_path_factory.mktemp("state")
    own = {
        "XDG_STATE_HOME": str(state),
        "OPSTRACE_LOCAL_SLOT": str(SLOT),
        "OPSTRACE_LOCAL_TARGET_SECONDS": TARGET_SECONDS,
    }
    return dict(os.environ) | own


@pytest.fixture(scope="session")
def cloud(base_environment: dict[str, str], project: Project) -> Iterator[dict[str, str]]:
    """The environment of a shell that uses a running embedded cloud."""
    # If another cloud runs, these folders are its own, and the last cloud removes them.
    before = [] if _clouds() else [folder for folder in HOST_FOLDERS if Path(folder).exists()]
    # The output is not captured: building tools takes minutes, and shows its progress.
    up = ["./opstrace", "local", "up"]
    subprocess.run(up, cwd=project.folder, env=base_environment, check=True, timeout=COMMAND_SECONDS)
    yield local_environment(project.launcher, base_environment)
    run("./opstrace", "local", "down", cwd=project.folder, env=base_environment)
    assert_nothing_left(SLOT)
    left = partial(_new_folders, before)
    eventually(lambda: not left(), 30, detail=lambda: f"left on this machine: {left()}")


@pytest.fixture(scope="session")
def walk(cloud: dict[str, str], project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserSession]:
    """A user who has created an instance, and destroys it in the end."""
    user = UserSession(tmp_path_factory.mktemp("user"), cloud, project)
    user.created = user.opstrace(*CREATE).stderr
    assert "curl --cacert" in user.created
    yield user
    user.opstrace(*DESTROY)
    assert INSTANCE not in user.opstrace("list", "local").stdout
    assert not user.stack_path.exists()
    eventually(lambda: user.kubectl("get", "persistentvolumes", "-o", "name") == "")
    assert_account_empty(user)


@pytest.fixture(scope="session")
def trusted_pair(walk: UserSession) -> str:
    """The file of a key pair that the instance trusts, beside its first key."""
    path = walk.folder / "custom-keypair.pem"
    walk.opstrace("ta-create-keypair", str(path))
    walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(path))
    token = walk.opstrace("ta-create-token", INSTANCE, "default", str(path)).stdout

    def is_trusted() -> bool:
        # Two pods of the gateway read the changed ConfigMap at different times; a request goes to one of them.
        return all(walk.curl(url("cortex", "default", LABELS), token=token)[0] == 200 for _ in range(15))

    eventually(is_trusted, 90)
    return str(path)


def _new_folders(before: list[str]) -> list[str]:
    """Return the folders that clouds of the tests left on the host; [] while any cloud runs."""
    return [] if _clouds() else [part for part in HOST_FOLDERS if part not in before and Path(part).exists()]


def _clouds() -> bool:
    """Return whether any node runs on this machine, the user's included."""
    return any(Path("/sys/fs/cgroup").glob("**/opst[0-9]"))


def assert_nothing_left(slot: int) -> None:
    """Fail if a network interface, cgroup, mount or process of the tests' cloud in `slot` is left."""
    name = f"opst{slot}"
    assert not (Path("/sys/class/net") / name).exists()
    cgroups = Path("/sys/fs/cgroup")  # version 2 has one hierarchy, version 1 one for each controller
    assert not [*cgroups.glob(name), *cgroups.glob(f"*/{name}")]
    assert f"/opstrace/local-{slot}/" not in Path("/proc/self/mounts").read_text()
    assert processes_of(slot) == []
