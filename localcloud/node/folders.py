"""The folders of this machine that nodes mount over: created for the first cloud, removed after the last one.

Removing a folder also removes the mounts over it in every mount namespace. Another cloud's node would lose its
volumes and the state of its network. A record therefore lists the created folders for all slots together.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from filelock import FileLock

from localcloud.files import write_whole

RECORD = Path("/run/opstrace-folders.json")  # a reboot removes it, and every cloud with it


@contextlib.contextmanager
def _recorded(record: Path) -> Iterator[set[str]]:
    """Yield the set of created folders to one process at a time; write it back at the end, also after an error."""
    with FileLock(record.with_suffix(".lock"), fallback_to_soft=False):
        created = set(json.loads(record.read_text() if record.exists() else "[]"))
        try:
            yield created
        finally:
            write_whole(record, json.dumps(sorted(created)))


def create(folders: Iterable[str], record: Path = RECORD) -> None:
    """Create the folders, and record the new ones. The caller already counts as a cloud in `remove` of other processes."""
    with _recorded(record) as created:
        for folder in map(Path, folders):
            new = [path for path in [folder, *folder.parents] if not path.exists()]
            created.update(map(str, new))
            folder.mkdir(parents=True, exist_ok=True)
            for path in new:
                path.chmod(0o755)  # the folders belong to the machine, so the user's umask does not apply


def remove(has_other_clouds: Callable[[], bool], record: Path = RECORD) -> None:
    """Remove the recorded folders, unless there are other clouds; meanwhile no other process can create one."""
    if not record.exists() or not os.access(record, os.W_OK):  # no node of this user ever ran here
        return
    with _recorded(record) as created:
        if has_other_clouds():
            return
        for folder in sorted(created, key=len, reverse=True):
            with contextlib.suppress(OSError):  # another program uses it now: it is not empty
                Path(folder).rmdir()
        created.clear()
