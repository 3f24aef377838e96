"""Locks that the engine left in its backend when it was killed: told from those of engines at work, and cleared once."""

import fcntl
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from components.errors import UserError
from scripts.folders import state_folder
from scripts.terminal import note

# As the file and bucket backends print a lock (pulumi/pkg/backend/diy/lock.go).
PRINTED = re.compile(r"created by (?P<user>[^@\s]+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")
CLEARED = "cleared-locks"
REMEMBERED = 100


@dataclass(frozen=True)
class Lock:
    """Who took a lock, and when, as the engine says it."""

    user: str
    host: str
    pid: int
    since: str

    def is_dead(self) -> bool:
        """Tell whether it was taken by a process of this machine that has ended."""
        if self.host != socket.gethostname():
            return False
        try:
            return not psutil.Process(self.pid).name().startswith("pulumi")
        except psutil.NoSuchProcess:
            return True


def is_about(line: str) -> bool:
    """Tell whether a line of the engine's output is part of its complaint about locks."""
    return bool(PRINTED.search(line)) or "currently locked" in line


def dead_ones(said: str, stack: str) -> list[Lock]:
    """Return the locks that `said` complains of; raises `UserError` naming one whose owner is alive, or not of this machine."""
    locks = [Lock(part["user"], part["host"], int(part["pid"]), part["since"]) for part in PRINTED.finditer(said)]
    for lock in locks:
        if not lock.is_dead():
            raise UserError(
                f"the stack {stack} is being changed by pulumi, process {lock.pid} of {lock.user} on {lock.host}, since "
                f"{lock.since}; wait for its end. If that process is gone, `pulumi cancel {stack}` gives its lock back"
            )
    return locks


def clear_once(locks: Iterable[Lock], cancel: Callable[[], object]) -> None:
    """Call `cancel`, which takes all locks of a stack away or raises, unless another command of this user did it for these.

    While a dead lock is there no engine gets in; but once one command has cleared it, and its engine works, another that
    had seen the same lock would take the new one away.
    """
    file = state_folder() / CLEARED
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as known:
        fcntl.flock(known, fcntl.LOCK_EX)
        known.seek(0)
        cleared = known.read().splitlines()
        left = [lock for lock in locks if str(lock) not in cleared]
        if not left:
            return
        cancel()
        known.truncate(0)
        known.write("".join(f"{line}\n" for line in [*cleared, *map(str, left)][-REMEMBERED:]))
    for lock in left:
        note(f"The lock of pulumi process {lock.pid}, which was killed at work, is cleared.")
