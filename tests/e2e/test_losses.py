"""Programs, pods and the node die under load: no accepted sample and no accepted line is lost."""

import contextlib
import json
from pathlib import Path

import psutil
import pytest

from components.core.names import GATEWAY_NAMESPACE
from tests.support.load import Load
from tests.support.node_processes import kill, processes_of_node, stop_node
from tests.support.polling import eventually
from tests.support.user_session import GATEWAY_MARKS, LABELS, UserSession, gateway_is_current, url

TENANT = "default"
BACK_SECONDS = 180
ENOUGH = 150  # samples and lines before the loss, and after it


def _answers(walk: UserSession) -> bool:
    paths = {"cortex": LABELS, "loki": "/loki/api/v1/labels"}
    token = walk.token(TENANT)
    return all(walk.curl(url(api, TENANT, path), token=token)[0] == 200 for api, path in paths.items())


def _pods(walk: UserSession, namespace: str, *marks: str) -> list[str]:
    return [
        pod["metadata"]["uid"]
        for pod in json.loads(walk.kubectl("-n", namespace, "get", "pods", *marks, "-o", "json"))["items"]
    ]


def _kill_in(pods: list[str], program: str) -> int:
    """Kill a program in these pods, as the kernel does when memory is short."""

    def is_in_one(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            groups = Path(f"/proc/{process.pid}/cgroup").read_text()
            return process.name() == program and any(pod in groups for pod in pods)
        return False

    return kill(process for process in processes_of_node() if is_in_one(process))


@pytest.mark.parametrize(
    "program",
    ["envoy", pytest.param("cortex", marks=pytest.mark.nightly), pytest.param("loki", marks=pytest.mark.nightly)],
)
def test_a_program_is_killed(walk: UserSession, program: str) -> None:
    gateway = _pods(walk, GATEWAY_NAMESPACE, "-l", GATEWAY_MARKS)
    pods = gateway[:1] if program == "envoy" else _pods(walk, f"{TENANT}-tenant")
    with Load(walk, TENANT, walk.token(TENANT), f"killed_{program}") as load:
        load.await_accepted(ENOUGH)
        assert _kill_in(pods, program) == 1
        eventually(lambda: _answers(walk) and gateway_is_current(walk), BACK_SECONDS)
        load.await_accepted(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)


def test_pods_are_deleted(walk: UserSession) -> None:
    with Load(walk, TENANT, walk.token(TENANT), "deleted") as load:
        load.await_accepted(ENOUGH)
        walk.kubectl("-n", f"{TENANT}-tenant", "delete", "pod", "--all", "--grace-period=0", "--force")
        walk.kubectl("-n", GATEWAY_NAMESPACE, "delete", "pod", "-l", GATEWAY_MARKS)
        eventually(lambda: _answers(walk), BACK_SECONDS)
        load.await_accepted(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)
    eventually(lambda: gateway_is_current(walk), BACK_SECONDS)
    # A gateway pod that has just started refuses no good token.
    assert {line["reason"] for line in walk.requests_logged() if line["status"] == 500} <= {"via_upstream"}


@pytest.mark.nightly
def test_the_node_is_stopped_and_started_again(walk: UserSession) -> None:
    with Load(walk, TENANT, walk.token(TENANT), "stopped") as load:
        load.await_accepted(ENOUGH)
        stop_node()
        eventually(lambda: not _answers(walk))
        eventually(lambda: _answers(walk), BACK_SECONDS)
        load.await_accepted(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)
