"""The processes of the tests' node, and killing them."""

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

from localcloud.node import cgroups
from tests.support.cloud_processes import processes_of
from tests.support.user_session import SLOT

NODE = f"opst{SLOT}"
SERVICES = ("kubelet", "containerd", "kube-proxy")  # containerd's shims, too


def kill(processes: Iterable[psutil.Process]) -> int:
    """Kill processes; return how many of them still ran."""
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


def processes_of_node() -> list[psutil.Process]:
    """Return the processes of the tests' node: its services and pods."""
    node, pods = _namespace(processes_of(SLOT, "kubelet")[0]), cgroups.processes(NODE)
    return [process for process in psutil.process_iter(["name"]) if process.pid in pods or _namespace(process) == node]


def stop_node() -> None:
    """Kill every pod, the kubelet and the container runtime at once; the embedded cloud restarts the node."""
    pods = cgroups.processes(f"{NODE}/kubepods")
    assert len(pods) > 10
    everything = processes_of_node()
    # The kubelet first: it restarts containers that end.
    for service in SERVICES:
        assert kill(process for process in everything if process.info["name"].startswith(service)) > 0
    kill(process for process in everything if process.pid in pods)
