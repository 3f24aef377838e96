"""The log file of a container, as a container runtime writes it and a kubelet rotates it."""

import gzip
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

FILES = 5  # containerLogMaxFiles of the kubelet: the file that is written to, and the rotated ones
LINES_A_TURN = 50


def write(file: Path, *lines: str, tag: str = "F") -> None:
    """Add lines in the format of the Container Runtime Interface, with the time of now."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with file.open("a") as log:
        log.writelines(f"{now} stdout {tag} {line}\n" for line in lines)


def rotate(file: Path) -> None:
    """Rotate a log file as the kubelet does (pkg/kubelet/logs/container_log_manager.go, Kubernetes 1.34).

    It deletes the oldest files, compresses those that are rotated already, and then renames the newest one.
    """
    rotated = sorted(file.parent.glob(f"{file.name}.*"))
    kept = FILES - 2  # beside the newest one and the one that is rotated now
    for old in rotated[: max(0, len(rotated) - kept)]:
        old.unlink()
    for plain in (path for path in rotated[-kept:] if path.suffix != ".gz"):
        partial = plain.with_name(f"{plain.name}.tmp")
        partial.write_bytes(gzip.compress(plain.read_bytes()))
        partial.rename(plain.with_name(f"{plain.name}.gz"))
        plain.unlink()
    names = [path.name for path in rotated]
    moment = datetime.now(UTC)
    while any(name.startswith(_rotated(file, moment)) for name in names):
        moment += timedelta(seconds=1)  # names have no parts of a second
    file.rename(file.with_name(_rotated(file, moment)))


def _rotated(file: Path, moment: datetime) -> str:
    return f"{file.name}.{moment:%Y%m%d-%H%M%S}"


class Writer:
    """Writes numbered lines to log files until the context ends.

    `rate` is in lines a second, over all files. With `padding`, lines have that many characters more. `written` has the
    lines that are complete, with the time of each in seconds of `time.time`.
    """

    def __init__(self, files: list[Path], rate: int = 1000, padding: int = 0) -> None:
        self.written: dict[str, float] = {}
        self._files, self._padding = files, "x" * padding
        self._pause = LINES_A_TURN / rate
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += self._pause
            first = len(self.written)
            new = [f"line {first + number} {self._padding}".rstrip() for number in range(LINES_A_TURN)]
            began = time.time()
            for place, file in enumerate(self._files):
                write(file, *new[place :: len(self._files)])
            self.written |= dict.fromkeys(new, began)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
