"""Locks in the engine's backend. A killed engine leaves its lock, which is cleared here once."""

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil
from filelock import FileLock

from components.core.errors import UserError
from localcloud.files import write_whole
from localcloud.folders import state_folder
from scripts.ui.terminal import note

# How the file and bucket backends print a lock (pulumi/pkg/backend/diy/lock.go).
PRINTED = re.compile(r"created by (?P<user>[^@\s]+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")
CLEARED = "cleared-locks"  # file in the state folder, a lock a line
MOST_CLEARED = 100  # locks in that file


class LockedError(UserError):
    """A process that is alive, or of another machine, has locked the stack."""


@dataclass(frozen=True)
class Lock:
    """Owner and time of a lock, as the engine prints them."""

    user: str
    host: str
    pid: int
    since: str

    def is_dead(self) -> bool:
        """Tell whether a process of this machine took the lock and has ended."""
        if self.host != socket.gethostname():
            return False
        name = name_of_running(self.pid)
        return name is None or not name.startswith("pulumi")


def name_of_running(pid: int) -> str | None:
    """Return the name of a process, None if it has ended, also if nobody has waited for it (a zombie)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.name()
    except psutil.NoSuchProcess:
        return None


def is_about(line: str) -> bool:
    """Tell whether a line of the engine's output belongs to its error about locks."""
    return bool(PRINTED.search(line)) or "currently locked" in line


def dead_locks(errors: str, stack: str) -> list[Lock]:
    """Return the locks that the engine's `errors` name.

    Raises `LockedError` with the owner of a lock if that process is alive or of another machine.
    """
    locks = [Lock(part["user"], part["host"], int(part["pid"]), part["since"]) for part in PRINTED.finditer(errors)]
    for lock in locks:
        if not lock.is_dead():
            raise LockedError(
                f"process {lock.pid} of {lock.user} on {lock.host} has locked the stack {stack} since {lock.since}; "
                f"wait until it ends. If it does not run any more, `pulumi cancel {stack}` removes its lock"
            )
    return locks


def clear_once(locks: Iterable[Lock], cancel: Callable[[], object], tell: Callable[[str], object] = note) -> None:
    """Call `cancel` unless another command of this user cleared these locks. It removes all locks of a stack or raises.

    Without this, a second command that saw the same dead lock would remove the lock of an engine that runs since.
    """
    file = state_folder() / CLEARED
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(f"{file}.lock", fallback_to_soft=False):
        cleared = file.read_text().splitlines() if file.exists() else []
        remaining = [lock for lock in locks if str(lock) not in cleared]
        if not remaining:
            return
        cancel()
        write_whole(file, "".join(f"{line}\n" for line in [*cleared, *map(str, remaining)][-MOST_CLEARED:]), 0o600)
    for lock in remaining:
        tell(f"Cleared the lock of pulumi process {lock.pid}, which was killed.")
