"""Programs, pods and the node die under load: no accepted sample and no accepted line is lost."""

import contextlib
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from components.core.names import GATEWAY_NAMESPACE
from localcloud.node import cgroups
from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.user_session import GATEWAY_MARKS, LABELS, SLOT, UserSession, gateway_is_current, url

TENANT = "default"
NODE = f"opst{SLOT}"
SERVICES = ("kubelet", "containerd", "kube-proxy")  # containerd's shims, too
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


def _kill(processes: Iterable[psutil.Process]) -> int:
    count = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGKILL)
            count += 1
    return count


def _namespace(process: psutil.Process) -> str:
    """Return a process's PID namespace, '' if it has ended: the node's processes have their own."""
    try:
        return str(Path(f"/proc/{process.pid}/ns/pid").readlink())
    except OSError:
        return ""


def _processes_of_node() -> list[psutil.Process]:
    """Return the processes of the tests' node: its services and pods."""
    own = f"/opstrace/local-{SLOT}/"
    processes = list(psutil.process_iter(["name", "cmdline"]))
    kubelet = next(one for one in processes if one.info["name"] == "kubelet" and own in " ".join(one.info["cmdline"]))
    node, pods = _namespace(kubelet), cgroups.processes(NODE)
    return [process for process in processes if process.pid in pods or _namespace(process) == node]


def _kill_in(pods: list[str], program: str) -> int:
    """Kill a program in these pods, as the kernel does when memory is short."""

    def is_in_one(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            groups = Path(f"/proc/{process.pid}/cgroup").read_text()
            return process.name() == program and any(pod in groups for pod in pods)
        return False

    return _kill(process for process in _processes_of_node() if is_in_one(process))


def stop_node() -> None:
    """Kill every pod, the kubelet and the container runtime at once; the embedded cloud restarts the node."""
    pods = cgroups.processes(f"{NODE}/kubepods")
    assert len(pods) > 10
    everything = _processes_of_node()
    # The kubelet first: it restarts containers that end.
    for service in SERVICES:
        assert _kill(process for process in everything if process.info["name"].startswith(service)) > 0
    _kill(process for process in everything if process.pid in pods)


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
