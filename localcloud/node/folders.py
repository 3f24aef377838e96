"""The folders of this machine that nodes mount over: made for the first cloud, taken away after the last one.

A folder that is removed takes with it what is mounted over it in every namespace: another cloud's node would lose its
volumes and the state of its network. So what was made is noted for all slots together.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

NOTE = Path("/run/opstrace-folders.json")  # gone with a reboot, as every cloud is


@contextlib.contextmanager
def _noted(note: Path) -> Iterator[set[str]]:
    """Hold the set of what was made, for one process at a time; what is in it afterwards is kept."""
    with note.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        made = set(json.loads(file.read() or "[]"))
        yield made
        file.truncate(0)
        file.write(json.dumps(sorted(made)))


def make(folders: Iterable[str], note: Path = NOTE) -> None:
    """Make the folders, and note which of them were not there."""
    with _noted(note) as made:
        for folder in map(Path, folders):
            made.update(str(path) for path in [folder, *folder.parents] if not path.exists())
            folder.mkdir(parents=True, exist_ok=True)


def remove(*, is_last: bool, note: Path = NOTE) -> None:
    """Remove what was made, where no other cloud is there."""
    with _noted(note) as made:
        if not is_last:
            return
        for folder in sorted(made, key=len, reverse=True):
            with contextlib.suppress(OSError):  # somebody else's by now: it is not empty
                Path(folder).rmdir()
        made.clear()
