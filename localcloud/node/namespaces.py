"""The node's namespaces: made, cabled and cleaned up after from outside."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from localcloud.errors import LocalCloudError
from localcloud.node import cgroups, configuration, folders, network
from localcloud.node.init import HOST_NETWORK, PRIVATE_FOLDERS
from localcloud.settings import PREFIX, Settings

UNSHARE = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--mount-proc", "--kill-child")


def require_root() -> None:
    """Raise `LocalCloudError` where no node can be made."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise LocalCloudError(
            "the embedded cluster needs root on Linux; run this as root, or name a cluster that you have by its context "
            "(kind, k3d and minikube make one): `./opstrace local up --context NAME`"
        )


def prepare(settings: Settings, programs: Mapping[str, str]) -> None:
    """Write the node's files and make its cgroup and the folders that it mounts over."""
    configuration.write_all(settings, Path(programs["containerd"]))
    cgroups.create(settings.name)
    folders.make(PRIVATE_FOLDERS)


def command(settings: Settings, programs: Mapping[str, str], archives: list[str]) -> list[str]:
    """Return the command of the process that holds the node."""
    inside = [
        *("unshare", *UNSHARE, sys.executable, "-m", "localcloud.node.init"),
        *(str(settings.home), str(settings.slot), json.dumps(dict(programs)), json.dumps(archives)),
    ]
    return ["sh", "-c", f'exec {HOST_NETWORK}</proc/self/ns/net && exec "$@"', "sh", *inside]


def connect(settings: Settings, pid: int) -> None:
    """Lead the cable into the namespaces that the process `pid` holds."""
    network.connect(settings, _inner_process(pid))


def remove_traces(settings: Settings) -> None:
    """Remove what a node that has ended may have left outside its own folders."""
    cgroups.remove(settings.name)
    network.disconnect(settings)
    folders.remove(lambda: bool(cgroups.names(PREFIX)))


def require_own(settings: Settings) -> None:
    """Raise `LocalCloudError` where a cloud of this slot runs that belongs to another user or state folder."""
    deadline = time.monotonic() + 15
    while network.is_connected(settings):  # the cable goes soon after the node that it leads to
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"another embedded cloud runs in slot {settings.slot}, started with another HOME or XDG_STATE_HOME; "
                "end it with these, or set OPSTRACE_LOCAL_SLOT to another number from 0 to 9"
            )
        time.sleep(0.2)


def _inner_process(pid: int) -> int:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        children = psutil.Process(pid).children()
        if children:
            return children[0].pid
        time.sleep(0.02)
    raise LocalCloudError("the node's namespaces could not be made; `unshare` says why in logs/cloud.log")
