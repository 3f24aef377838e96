"""The node's Linux namespaces, as seen from outside: their creation, connection and removal."""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from localcloud.errors import LocalCloudError
from localcloud.node import cgroups, configuration, folders, network
from localcloud.node.pid1 import HOST_NETWORK, PRIVATE_FOLDERS
from localcloud.settings import PREFIX, SLOTS, Settings
from localcloud.supervisor import until

UNSHARE = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--mount-proc", "--kill-child")
FIRST_PROCESS = "localcloud.node.pid1"
FOREIGN_SECONDS = 15
NAMESPACES_SECONDS = 5


def require_root() -> None:
    """Raise `LocalCloudError` unless this is root on Linux, which a node needs."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise LocalCloudError(
            "the embedded cluster needs root on Linux; run this as root, or use your own cluster, such as one of "
            "kind, k3d and minikube: `./opstrace local up --context NAME`"
        )


def prepare(settings: Settings, programs: Mapping[str, str]) -> None:
    """Write the node's files, and create its cgroup and the folders that it mounts over."""
    configuration.write_all(settings, Path(programs["containerd"]))
    cgroups.create(settings.name)
    folders.create(PRIVATE_FOLDERS)


def command(settings: Settings, programs: Mapping[str, str], archives: list[str]) -> list[str]:
    """Return the command that creates the namespaces and runs the node's first process in them."""
    inside = [
        *("unshare", *UNSHARE, sys.executable, "-P", "-m", FIRST_PROCESS),
        *(str(settings.home), str(settings.slot), json.dumps(dict(programs)), json.dumps(archives)),
    ]
    return ["sh", "-c", f'exec {HOST_NETWORK}</proc/self/ns/net && exec "$@"', "sh", *inside]


def connect(settings: Settings, pid: int) -> None:
    """Connect this machine to the network namespace that the process `pid` creates; raises `LocalCloudError`."""
    network.connect(settings, _inner_process(pid))


def remove_traces(settings: Settings) -> None:
    """Remove the traces of an ended node outside its own folders: cgroup, network interface, mount points."""
    cgroups.remove(settings.name)
    network.disconnect(settings)
    folders.remove(lambda: bool(cgroups.names(PREFIX)))


def require_own(settings: Settings) -> None:
    """Raise `LocalCloudError` where a cloud of this slot runs that belongs to another user or state folder.

    The network interface of an ended node is no sign of one: the kernel keeps it while connections of its namespace are
    open, which may take minutes. `remove_traces` removes it.
    """
    if not until(lambda: not _runs(settings) or not network.is_connected(settings), FOREIGN_SECONDS, 0.2):
        raise LocalCloudError(
            f"slot {settings.slot} has an embedded cloud with another HOME or XDG_STATE_HOME; end it with the same values, "
            f"or set OPSTRACE_LOCAL_SLOT to another number from 0 to {SLOTS - 1}"
        )


def _runs(settings: Settings) -> bool:
    """Tell whether the first process of a node of this slot runs, whoever started it."""
    commands = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return any(FIRST_PROCESS in command and str(settings.slot) in command for command in commands)


def _inner_process(pid: int) -> int:
    """Return the first process in the namespaces that the process `pid` creates; raises `LocalCloudError`."""
    children: list[psutil.Process] = []

    def has_child() -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            children.extend(psutil.Process(pid).children())
        return bool(children)

    if not until(has_child, NAMESPACES_SECONDS, 0.02):
        raise LocalCloudError(
            f"the node's namespaces could not be created within {NAMESPACES_SECONDS} s; `unshare` says why in logs/cloud.log"
        )
    return children[0].pid
