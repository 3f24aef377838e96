"""The cgroup of a node, below which its pods run, in cgroup v1 and v2."""

import contextlib
import os
import signal
from pathlib import Path

from localcloud.supervisor import until

ROOT = Path("/sys/fs/cgroup")
EMPTY_SECONDS = 10


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():  # v2: one hierarchy
        return [ROOT]
    return [path for path in ROOT.iterdir() if (path / "cgroup.procs").exists()]


def create(name: str) -> None:
    """Create the cgroup `name` in every hierarchy, with the controllers that the kubelet needs."""
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        if hierarchy == ROOT:
            for controller in ("cpu", "cpuset", "memory", "pids", "io", "hugetlb"):
                _enable(hierarchy, controller)
                _enable(hierarchy / name, controller)
        else:
            _inherit_cpuset(hierarchy, name)


def _enable(folder: Path, controller: str) -> None:
    if controller in (folder / "cgroup.controllers").read_text().split():
        (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _inherit_cpuset(hierarchy: Path, name: str) -> None:
    # A new cpuset of cgroup v1 is empty, and no process can join an empty one.
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (hierarchy / file).exists():
            (hierarchy / name / file).write_text((hierarchy / file).read_text())


def names(prefix: str) -> set[str]:
    """Return the names of the top-level cgroups that begin with `prefix`."""
    return {path.name for hierarchy in _hierarchies() for path in hierarchy.glob(f"{prefix}*") if path.is_dir()}


def processes(name: str) -> set[int]:
    """Return the ids of the processes in the cgroup and those below it."""
    members: set[int] = set()
    for hierarchy in _hierarchies():
        for file in (hierarchy / name).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # the cgroup ended meanwhile
                members.update(map(int, file.read_text().split()))
    return members


def remove(name: str) -> None:
    """Kill the processes in the cgroup and remove it, with all below it, from every hierarchy.

    Raises `OSError` where the kernel does not remove it within `EMPTY_SECONDS`.
    """

    def is_empty() -> bool:
        remaining = processes(name)
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not remaining

    until(is_empty, EMPTY_SECONDS, 0.05)
    for hierarchy in _hierarchies():
        folders = sorted((hierarchy / name).rglob("*/"), key=lambda path: len(path.parts), reverse=True)
        for folder in [*folders, hierarchy / name]:
            if folder.is_dir():
                folder.rmdir()
