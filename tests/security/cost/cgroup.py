"""A cgroup with the memory limit of a pod, for cgroup v1 and v2, which also counts CPU time."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MIB = 2**20
EMPTY_SECONDS = 10
# In cgroup v1 the buffers of sockets are counted apart, in v2 with the rest.
SOCKETS_USED, SOCKETS_PEAK = "memory.kmem.tcp.usage_in_bytes", "memory.kmem.tcp.max_usage_in_bytes"


def cpu_seconds(file: Path) -> float:
    """Return the CPU time in a cgroup's `cpu_file`, in seconds."""
    text = file.read_text()
    if file.name == "cpuacct.usage":
        return int(text) / 1e9
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("usage_usec ")) / 1e6


def drop_page_cache(file: Path) -> None:
    """Drop the page cache of a file that is not in use."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class CgroupError(Exception):
    """The machine offers no cgroup with a memory limit."""


class PodCgroup:
    """A new cgroup whose processes share `limit` bytes of memory, without swap.

    As in a pod, kernel memory counts too: connections, their buffers, and the page cache of files.
    """

    def __init__(self, name: str, limit: int) -> None:
        self.limit, self._sampled, self._sockets = limit, 0, 0
        self._is_v2 = (ROOT / "cgroup.controllers").exists()
        self._memory = (ROOT if self._is_v2 else ROOT / "memory") / name
        self._cpu = self._memory if self._is_v2 else ROOT / "cpuacct" / name
        try:
            self._make()
        except OSError as error:
            raise CgroupError(
                f"{error.filename or self._memory}: {error.strerror}; these tests need a cgroup with a memory limit: "
                "run them as root, on a machine or in a container that may write to /sys/fs/cgroup"
            ) from error

    def _make(self) -> None:
        if self._is_v2:
            (ROOT / "cgroup.subtree_control").write_text("+memory")
            self._memory.mkdir()
            self._write("memory.max", self.limit)
            if (self._memory / "memory.swap.max").exists():  # missing on kernels without swap
                self._write("memory.swap.max", 0)
            return
        self._cpu.mkdir()
        self._memory.mkdir()
        self._write("memory.limit_in_bytes", self.limit)
        if (self._memory / "memory.memsw.limit_in_bytes").exists():
            self._write("memory.memsw.limit_in_bytes", self.limit)
        self._write("memory.kmem.tcp.limit_in_bytes", self.limit)  # the kernel counts memory only if a limit is set

    def _write(self, file: str, value: int) -> None:
        (self._memory / file).write_text(str(value))

    def _number(self, file: str) -> int:
        return int((self._memory / file).read_text())

    def command(self, command: Sequence[str]) -> list[str]:
        """Return a command line that runs `command` in the cgroup from its start."""
        joins = "; ".join(f"echo $$ > {folder}/cgroup.procs" for folder in {self._memory, self._cpu})
        return ["sh", "-ec", f'{joins}; exec "$@"', "sh", *command]

    def peaks(self) -> tuple[int, int]:
        """Return the peak of the bytes in use, and the peak of the bytes in sockets' buffers."""
        if self._is_v2:
            return self._number("memory.peak"), self._sockets
        self.sample()
        return max(self._sampled, self._number("memory.max_usage_in_bytes")), self._number(SOCKETS_PEAK)

    def sample(self) -> None:
        """Update the peaks that the kernel does not keep."""
        if self._is_v2:
            self._sockets = max(self._sockets, self._stat("sock"))
        else:
            self._sampled = max(self._sampled, self._number("memory.usage_in_bytes") + self._number(SOCKETS_USED))

    def used(self) -> int:
        """Return the bytes in use that cannot be reclaimed: without the page cache of files that were only read."""
        if self._is_v2:
            return self._number("memory.current") - self._stat("inactive_file")
        used = self._number("memory.usage_in_bytes") + self._number(SOCKETS_USED)
        return used - self._stat("total_inactive_file")

    def anonymous(self) -> int:
        """Return the bytes in use that no file backs: heap, stacks and data of the programs."""
        return self._stat("anon" if self._is_v2 else "total_rss")

    def _stat(self, name: str) -> int:
        lines = (self._memory / "memory.stat").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def kills(self) -> int:
        """Return the number of processes that the kernel killed at the limit."""
        lines = (self._memory / ("memory.events" if self._is_v2 else "memory.oom_control")).read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    @property
    def cpu_file(self) -> Path:
        """The file with the CPU time of all processes of the cgroup, for `cpu_seconds`."""
        return self._memory / "cpu.stat" if self._is_v2 else self._cpu / "cpuacct.usage"

    def close(self) -> None:
        """Kill the processes of the cgroup, and remove it."""
        folders = {folder for folder in (self._memory, self._cpu) if folder.is_dir()}
        deadline = time.monotonic() + EMPTY_SECONDS
        while (left := self._processes(folders)) and time.monotonic() < deadline:
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        for folder in folders:
            folder.rmdir()

    @staticmethod
    def _processes(folders: set[Path]) -> set[int]:
        return {int(number) for folder in folders for number in (folder / "cgroup.procs").read_text().split()}
