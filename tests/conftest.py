"""What several test folders share: an embedded cloud of the tests' own, in another slot than the user's; one instance."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from localcloud.node.init import PRIVATE_FOLDERS
from tests.e2e.walk import INSTANCE, LABELS, SLOT, STACK_FILE, Walk, assert_account_empty, url
from tests.shell import ROOT, run
from tests.waiting import eventually

COMMAND_SECONDS = 3600  # a first run builds every tool from source

# What runs one after the other, each in a process of its own: with an embedded cloud and an instance there, in two halves,
# or with a bare cloud (tests/engine/bare.py). The rest needs neither.
SHARING = {
    "embedded, second half": (
        "tests/e2e/test_tenants",
        "tests/e2e/test_tokens",
        "tests/e2e/test_walk",
        "tests/security/",
    ),
    "embedded, first half": ("tests/e2e/", "tests/engine/test_plugins.py"),
    "bare": tuple(
        f"tests/engine/test_{name}.py" for name in ("adoption", "crash_points", "faults", "move", "plain_recovery")
    ),
}


class CloudScheduling(LoadScopeScheduling):
    """Those who share a cloud are one after the other, and so is the rest."""

    def _split_scope(self, nodeid: str) -> str:
        return next((name for name, sharing in SHARING.items() if nodeid.startswith(sharing)), "rest")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> CloudScheduling:
    """Let `make test` run four tests at once: much of each is waiting."""
    return CloudScheduling(config, log)


@pytest.fixture(scope="session")
def base_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user whose state folder is new and whose cloud has the tests' slot."""
    state = tmp_path_factory.mktemp("state")
    return dict(os.environ) | {"XDG_STATE_HOME": str(state), "OPSTRACE_LOCAL_SLOT": str(SLOT)}


@pytest.fixture(scope="session")
def cloud(base_environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a shell that uses a running embedded cloud."""
    # Those of a cloud that is there already go with the last of all.
    before = [] if _clouds() else [folder for folder in PRIVATE_FOLDERS if Path(folder).exists()]
    # Output goes to the test's own: building tools from source takes minutes and should be seen.
    subprocess.run(["./opstrace", "local", "up"], cwd=ROOT, env=base_environment, check=True, timeout=COMMAND_SECONDS)
    yield entered(base_environment)
    run("./opstrace", "local", "down", env=base_environment)
    assert_nothing_left(SLOT)
    eventually(
        lambda: _clouds() or not [part for part in PRIVATE_FOLDERS if Path(part).exists() and part not in before], 30
    )


@pytest.fixture(scope="session")
def walk(cloud: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    STACK_FILE.unlink(missing_ok=True)  # of a run that was killed
    made = Walk(tmp_path_factory.mktemp("user"), cloud)
    said = made.opstrace("create", "local", INSTANCE, "--tenant", "default").stderr
    assert "curl --cacert" in said
    yield made
    made.opstrace("destroy", "local", INSTANCE, "--purge", "--yes")
    assert INSTANCE not in made.opstrace("list", "local").stdout
    assert not STACK_FILE.exists()
    eventually(lambda: made.kubectl("get", "persistentvolumes", "-o", "name") == "")
    assert_account_empty(made)


@pytest.fixture(scope="session")
def trusted_pair(walk: Walk) -> str:
    """A key pair's file whose public half the instance trusts beside its first key."""
    path = walk.folder / "custom-keypair.pem"
    walk.opstrace("ta-create-keypair", str(path))
    walk.opstrace("ta-pubkeys-add", "local", INSTANCE, str(path))
    token = walk.opstrace("ta-create-token", INSTANCE, "default", str(path)).stdout

    def everywhere() -> bool:
        # Each of the gateway's two pods gets the changed ConfigMap in its own time, and each request goes to one of them.
        return all(walk.curl(url("cortex", "default", LABELS), token=token)[0] == 200 for _ in range(15))

    eventually(everywhere, 90)
    return str(path)


def _clouds() -> bool:
    """Tell whether a node runs on this machine, whoever's it is."""
    return any(Path("/sys/fs/cgroup").glob("**/opst[0-9]"))


def entered(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment after `eval "$(./opstrace env local)"` in it."""
    exports = run("./opstrace", "env", "local", env=environment).stdout
    shell = run("sh", "-c", f"{exports}\nenv -0", env=environment).stdout
    return dict(line.split("=", 1) for line in shell.split("\0") if "=" in line)


def processes_of(slot: int) -> list[str]:
    """Return the command lines of what runs of the tests' cloud in `slot`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"/opstrace/local-{slot}" in command:
            found.append(command)
    return found


def assert_nothing_left(slot: int) -> None:
    """Fail if anything of the tests' cloud in `slot` is still on this machine."""
    name = f"opst{slot}"
    assert not (Path("/sys/class/net") / name).exists()
    cgroups = Path("/sys/fs/cgroup")  # of version 2, or with a folder for each controller
    assert not [*cgroups.glob(name), *cgroups.glob(f"*/{name}")]
    assert f"/opstrace/local-{slot}/" not in Path("/proc/self/mounts").read_text()
    assert processes_of(slot) == []
