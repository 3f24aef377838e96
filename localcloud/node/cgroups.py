"""The cgroup below which everything of the embedded cloud runs, in cgroup v1 and v2."""

import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
EMPTY_SECONDS = 10


def _hierarchies() -> list[Path]:
    if (ROOT / "cgroup.controllers").exists():  # v2: one hierarchy
        return [ROOT]
    return [path for path in ROOT.iterdir() if (path / "cgroup.procs").exists()]


def create(name: str) -> None:
    """Make the cgroup `name` in every hierarchy, with the controllers that the kubelet needs."""
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
    # A new cpuset of cgroup v1 is empty, and an empty one takes no process.
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (hierarchy / file).exists():
            (hierarchy / name / file).write_text((hierarchy / file).read_text())


def names(prefix: str) -> set[str]:
    """Return the names of the cgroups that begin so."""
    return {path.name for hierarchy in _hierarchies() for path in hierarchy.glob(f"{prefix}*") if path.is_dir()}


def processes(name: str) -> set[int]:
    """Return the process ids that are in the cgroup or in one below it."""
    return {
        int(pid)
        for hierarchy in _hierarchies()
        for file in (hierarchy / name).rglob("cgroup.procs")
        for pid in file.read_text().split()
    }


def remove(name: str) -> None:
    """Kill what still runs in the cgroup and remove it, with all below it, from every hierarchy."""
    deadline = time.monotonic() + EMPTY_SECONDS
    while (left := processes(name)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    for hierarchy in _hierarchies():
        folders = sorted((hierarchy / name).rglob("*/"), key=lambda path: len(path.parts), reverse=True)
        for folder in [*folders, hierarchy / name]:
            if folder.is_dir():
                folder.rmdir()
