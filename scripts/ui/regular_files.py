"""Files that a user names. Only regular files are read, since opening a FIFO or a device may block or have effects."""

import errno
import os
import stat
from pathlib import Path

REMEDIES = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "name a file",
    errno.EEXIST: "move it away, or name another path",
    errno.EACCES: "allow it for your user, or name another path",
    errno.EPERM: "allow it for your user, or name another path",
    errno.EROFS: "name a path on a file system that can be written",
    errno.ELOOP: "name the file itself",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ENOSPC: "free some space, then run this again",
    errno.EDQUOT: "free some space, then run this again",
}


def reason(error: OSError, missing: str | None = None) -> str:
    """Return why a file of the user cannot be used, and the remedy; `missing` is the one for a file that does not exist."""
    remedy = missing if missing and error.errno == errno.ENOENT else REMEDIES.get(error.errno or 0)
    return f"{error.strerror}; {remedy}" if remedy else str(error.strerror)


class NotRegularError(OSError):
    """The path names a FIFO, a device, a socket or a folder."""

    def __init__(self, mode: int) -> None:
        names = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFDIR: "folder"}
        name = names.get(stat.S_IFMT(mode), "device")
        super().__init__(0, f"it is a {name}, and only a regular file is read; copy its content into a file")


def read(path: Path, most: int = -1) -> tuple[bytes, os.stat_result]:
    """Return the first `most` bytes of a regular file, by default all, and its status; raises `OSError`."""
    _require_regular(path.stat())
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        _require_regular(status)  # another file may have replaced it since
        return file.read(most), status


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(status.st_mode)
