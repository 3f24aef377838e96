"""The folders of this machine that nodes mount over: made for the first cloud, taken away after the last one.

A folder that is removed takes with it what is mounted over it in every namespace: another cloud's node would lose its
volumes and the state of its network. So what was made is noted for all slots together.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

NOTE = Path("/run/opstrace-folders.json")  # gone with a reboot, as every cloud is


@contextlib.contextmanager
def _noted(note: Path) -> Iterator[set[str]]:
    """Hold the set of what was made, for one process at a time; what is in it afterwards is kept, however that goes."""
    with note.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        made = set(json.loads(file.read() or "[]"))
        try:
            yield made
        finally:
            file.truncate(0)
            file.write(json.dumps(sorted(made)))


def make(folders: Iterable[str], note: Path = NOTE) -> None:
    """Make the folders, and note which of them were not there; whoever does counts as a cloud already."""
    with _noted(note) as made:
        for folder in map(Path, folders):
            made.update(str(path) for path in [folder, *folder.parents] if not path.exists())
            folder.mkdir(parents=True, exist_ok=True)


def remove(others: Callable[[], bool], note: Path = NOTE) -> None:
    """Remove what was made, unless there are other clouds; asked while nobody else can make any."""
    if not note.exists() or not os.access(note, os.W_OK):  # no node was ever here, or none of this user's
        return
    with _noted(note) as made:
        if others():
            return
        for folder in sorted(made, key=len, reverse=True):
            with contextlib.suppress(OSError):  # somebody else's by now: it is not empty
                Path(folder).rmdir()
        made.clear()
