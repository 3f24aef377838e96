"""The processes of an embedded cloud: how the command finds them again, ends them and waits for their end.

A cloud is one session (`setsid`), led by the process that holds it. A node also has its own mount namespace. Source:
the kernel's proc(5) and mount_namespaces(7).
"""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from localcloud.errors import LocalCloudError
from localcloud.supervisor import until

END_SECONDS = 120  # a killed process of a busy machine can be in the kernel for long
POLL_SECONDS = 0.1
PROC = Path("/proc")


@dataclass(frozen=True)
class Holder:
    """The process that holds an embedded cloud. `started` distinguishes it from a later process with the same id."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Holder":
        """Return the process that has this id now."""
        return cls(pid, _started(pid))

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = _started(self.pid) == self.started
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.NoSuchProcess, OSError):
            return None

    def may_lead_a_session(self) -> bool:
        """Tell whether the session with this id is still the session of this process."""
        try:
            return _started(self.pid) == self.started
        except OSError:  # it has ended; no other process gets its id while the session has processes
            return self.started.partition(" ")[0] == _boot()


def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _started(pid: int) -> str:
    """Return boot and time, in ticks since it, at which a process started; setting the clock does not change them."""
    ticks = _status(PROC / str(pid) / "stat")[19]  # field 22 (proc(5))
    return f"{_boot()} {ticks}"


def _status(file: Path) -> list[str]:
    """Return the fields of a `stat` file after the name, which may contain spaces and parentheses."""
    return file.read_text().rsplit(")", 1)[1].split()


def _living_threads(pid: int) -> Iterator[Path]:
    """Yield the folders of a process's threads that have not ended; the first thread can end before the others do."""
    with contextlib.suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                if _status(thread / "stat")[0] not in "ZX":
                    yield thread


def _namespace(kind: str, pid: int) -> int | None:
    """Return the number of a process's namespace of a kind, None for one that has ended or is another user's."""
    for thread in _living_threads(pid):
        with contextlib.suppress(OSError):
            return (thread / "ns" / kind).stat().st_ino
    return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _in_session(session: int) -> set[int]:
    return {pid for pid in psutil.pids() if _session(pid) == session and any(_living_threads(pid))}


def _node_namespaces(session: int) -> set[int]:
    """Return the mount namespaces of the processes of a session that are in another PID namespace than this process."""
    own_namespace = _namespace("pid", os.getpid())
    inner = [pid for pid in _in_session(session) if _namespace("pid", pid) not in (own_namespace, None)]
    return {number for pid in inner if (number := _namespace("mnt", pid))}


def _in_mount_namespaces(numbers: set[int]) -> set[int]:
    return {pid for pid in psutil.pids() if _namespace("mnt", pid) in numbers} if numbers else set()


def end(holder: psutil.Process) -> None:
    """Kill the process that holds a cloud, its session and its node's mount namespace; return when all of them are gone.

    Raises `LocalCloudError` with their names after `END_SECONDS`.
    """
    session = holder.pid
    namespaces = _node_namespaces(session)
    remaining = {session}

    def is_gone() -> bool:
        nonlocal remaining
        for pid in remaining:
            _kill(pid)
        remaining = _in_session(session) | _in_mount_namespaces(namespaces)
        return not remaining

    if not until(is_gone, END_SECONDS, POLL_SECONDS):
        raise _remaining(remaining)


def await_end(holder: Holder) -> None:
    """Wait for the processes of a node whose holder has died: the kernel kills them, but on a busy machine not at once.

    Raises `LocalCloudError` with their names after `END_SECONDS`.
    """
    if not holder.may_lead_a_session():
        return
    namespaces = _node_namespaces(holder.pid)
    if not until(lambda: not _in_mount_namespaces(namespaces), END_SECONDS, POLL_SECONDS):
        raise _remaining(_in_mount_namespaces(namespaces))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _remaining(pids: Iterable[int]) -> LocalCloudError:
    names = []
    for pid in sorted(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            names.append(f"{psutil.Process(pid).name()} (process {pid})")
    return LocalCloudError(
        f"these processes of the embedded cloud still run {END_SECONDS} s after they were killed: {', '.join(names)}; "
        "end them, then run `./opstrace local down`"
    )
