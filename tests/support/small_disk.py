"""A disk of its own for a folder: it can be full, and lose what was not written to it before the power failed."""

import shutil
from pathlib import Path

from tests.support.shell import run

BLOCK = 2**16


class SmallDisk:
    """A file system on a loop device, mounted at `folder`. Needs root.

    With `process`, it is mounted in the mount namespace of this process alone.
    """

    def __init__(self, folder: Path, mebibytes: int, process: int | None = None) -> None:
        self._folder = folder
        self._image = folder.with_name(f"{folder.name}.ext4")
        self._inside = ("nsenter", "-t", f"{process}", "-m") if process else ()
        self._root = Path(f"/proc/{process}/root") if process else Path("/")
        with self._image.open("wb") as image:
            image.truncate(mebibytes * 2**20)
        # Lazy initialization would write in the background.
        run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._image))
        self._mount()

    def _mount(self) -> None:
        run(*self._inside, "mount", "-o", "loop", str(self._image), str(self._folder))

    def fill(self) -> None:
        """Use up all space, by a file beside the others."""
        with self._filler().open("wb", buffering=0) as filler:
            for size in (BLOCK, 1):
                try:
                    while True:
                        filler.write(b"\1" * size)
                except OSError:  # no space left on device
                    continue

    def free(self) -> None:
        """Give back what `fill` took."""
        self._filler().unlink()

    def _filler(self) -> Path:
        return self._root / self._folder.relative_to("/") / "filler"

    def lose_power(self) -> None:
        """Go back to what is on the disk now, without what the kernel has in memory alone. No process may use it."""
        before = self._image.with_suffix(".before")
        shutil.copyfile(self._image, before)  # while the file system is mounted: unmounting would write the rest
        self.unmount()
        before.replace(self._image)
        self._mount()

    def unmount(self) -> None:
        """Unmount the disk, which no process may use."""
        run(*self._inside, "umount", str(self._folder))
