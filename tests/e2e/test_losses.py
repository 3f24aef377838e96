"""Programs, pods and the whole node die under load: no sample and no line that was accepted is lost."""

import contextlib
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil
import pytest

from components.names import GATEWAY_NAMESPACE
from localcloud.node import cgroups
from tests.e2e.load import Load
from tests.e2e.walk import GATEWAY_MARKS, LABELS, SLOT, Walk, current, url
from tests.waiting import eventually

TENANT = "default"
NODE = f"opst{SLOT}"
SERVICES = ("kubelet", "containerd", "kube-proxy")  # containerd's shims too
BACK_SECONDS = 180
ENOUGH = 150  # samples and lines before the loss, and after it


def _answers(walk: Walk) -> bool:
    paths = {"cortex": LABELS, "loki": "/loki/api/v1/labels"}
    token = walk.token(TENANT)
    return all(walk.curl(url(api, TENANT, path), token=token)[0] == 200 for api, path in paths.items())


def _pods(walk: Walk, namespace: str, *marks: str) -> list[str]:
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
    """Return the process namespace, by which what runs on the node is told from what runs beside it; '' if it has ended."""
    try:
        return str(Path(f"/proc/{process.pid}/ns/pid").readlink())
    except OSError:
        return ""


def _of_node() -> list[psutil.Process]:
    """Return what runs on the tests' node: its services and pods, and nobody else's."""
    own = f"/opstrace/local-{SLOT}/"
    found = list(psutil.process_iter(["name", "cmdline"]))
    kubelet = next(one for one in found if one.info["name"] == "kubelet" and own in " ".join(one.info["cmdline"]))
    node, pods = _namespace(kubelet), cgroups.processes(NODE)
    return [process for process in found if process.pid in pods or _namespace(process) == node]


def _kill_in(pods: list[str], program: str) -> int:
    """Kill a program in these pods, as the kernel would where memory is short."""

    def is_in_one(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            groups = Path(f"/proc/{process.pid}/cgroup").read_text()
            return process.name() == program and any(pod in groups for pod in pods)
        return False

    return _kill(process for process in _of_node() if is_in_one(process))


def _stop_node() -> None:
    """End every pod of the node, its kubelet and its container runtime at once; the embedded cloud starts it again."""
    pods = cgroups.processes(f"{NODE}/kubepods")
    assert len(pods) > 10
    everything = _of_node()
    # The kubelet first: it would start again what it sees end.
    for service in SERVICES:
        assert _kill(process for process in everything if process.info["name"].startswith(service)) > 0
    _kill(process for process in everything if process.pid in pods)


@pytest.mark.parametrize(
    "program",
    ["envoy", pytest.param("cortex", marks=pytest.mark.nightly), pytest.param("loki", marks=pytest.mark.nightly)],
)
def test_a_program_is_killed(walk: Walk, program: str) -> None:
    gateway = _pods(walk, GATEWAY_NAMESPACE, "-l", GATEWAY_MARKS)
    pods = gateway[:1] if program == "envoy" else _pods(walk, f"{TENANT}-tenant")
    with Load(walk, TENANT, walk.token(TENANT), f"killed_{program}") as load:
        load.accepts(ENOUGH)
        assert _kill_in(pods, program) == 1
        eventually(lambda: _answers(walk) and current(walk), BACK_SECONDS)
        load.accepts(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)


def test_pods_are_deleted(walk: Walk) -> None:
    with Load(walk, TENANT, walk.token(TENANT), "deleted") as load:
        load.accepts(ENOUGH)
        walk.kubectl("-n", f"{TENANT}-tenant", "delete", "pod", "--all", "--grace-period=0", "--force")
        walk.kubectl("-n", GATEWAY_NAMESPACE, "delete", "pod", "-l", GATEWAY_MARKS)
        eventually(lambda: _answers(walk), BACK_SECONDS)
        load.accepts(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)
    eventually(lambda: current(walk), BACK_SECONDS)
    # A pod of the gateway that is just up sends nobody away who has a good token.
    assert {line["reason"] for line in walk.requests_logged() if line["status"] == 500} <= {"via_upstream"}


@pytest.mark.nightly
def test_the_node_is_stopped_and_started_again(walk: Walk) -> None:
    with Load(walk, TENANT, walk.token(TENANT), "stopped") as load:
        load.accepts(ENOUGH)
        _stop_node()
        eventually(lambda: not _answers(walk))
        eventually(lambda: _answers(walk), BACK_SECONDS)
        load.accepts(ENOUGH)
    load.assert_nothing_lost(BACK_SECONDS)
