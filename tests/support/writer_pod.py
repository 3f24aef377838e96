"""A pod on the tests' node that writes numbered lines at a steady rate, and the log files that the kubelet keeps of it."""

import gzip
import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.node.images import Image, import_command, write_archive
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.support.manifests import apply, new_namespace, pod
from tests.support.packets import enforcer, process_of
from tests.support.shell import run
from tests.support.user_session import SLOT, UserSession

IMAGE = "registry.example.com/writer:1"
POD = "writer"  # its container, too
SHELL = "bash"
LINES_A_SECOND, CHARACTERS = 1000, 250
WAIT = "--timeout=120s"
# Each run of the program marks its lines with the time of its start, and numbers them from 1. It writes what is due, so a busy
# machine makes lines late, not fewer. To pause, it reads a pipe that stays empty: the image has no other program. A kubelet that
# restarts can end it by SIGTERM: it fails then, so that it is started again.
PROGRAM = r"""
exec 3<> <(:)
trap 'exit 143' TERM
trap 'exit 0' USR1
begin=${EPOCHREALTIME//[!0-9]/} number=0
printf -v padding '%*s' "$2" ''
padding=${padding// /x}
while true; do
  (( due = (${EPOCHREALTIME//[!0-9]/} - begin) * $1 / 1000000 ))
  while (( number < due )); do
    (( number += 1 ))
    line="$begin $number $padding"
    printf '%s\n' "${line:0:$2}"
  done
  read -rt 0.05 -u 3
done
"""


@dataclass(frozen=True)
class Span:
    """Consecutive lines: the run of the program that wrote them, the first number and the last one."""

    run: str
    first: int
    last: int


def run_and_number(line: str) -> tuple[str, int]:
    """Return the run and the number of a line; its end may be missing."""
    mark, number = line.split()[:2]
    return mark, int(number)


class WriterPod:
    """The pod of `writing`. `began` is a time before its first line, in seconds of `time.time`."""

    def __init__(self, walk: UserSession) -> None:
        self._walk = walk
        self.namespace, self.began, self._uid = f"writer-{uuid.uuid4().hex[:8]}", 0.0, ""
        self._last: dict[str, int] = {}

    def start(self) -> None:
        """Make the pod and its namespace."""
        self._import_image()
        self.began = time.time()
        apply(self._walk.shell, *self._objects())
        self._kubectl("wait", "--for=condition=Ready", f"pod/{POD}", WAIT)
        self._uid = self._kubectl("get", "pod", POD, "-o", "jsonpath={.metadata.uid}")

    def delete(self) -> None:
        """Delete what was made, also where `start` failed."""
        self._walk.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false")

    def stop(self) -> None:
        """End the program. Its log files stay, because the pod stays."""
        process = process_of(self._walk, self.namespace, POD, SHELL)
        assert process
        os.kill(process, signal.SIGUSR1)
        self._kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{POD}", WAIT)

    def written(self) -> dict[str, int]:
        """Return the last number of each run of the program, also of those whose files were there at an earlier call."""
        for span in self.spans():
            self._last[span.run] = max(span.last, self._last.get(span.run, 0))
        return dict(self._last)

    def spans(self) -> list[Span]:
        """Return the complete lines of each log file, the compressed ones included."""
        while True:
            try:
                files = [file for file in self._folder().glob("*.log*") if file.suffix != ".tmp"]
                return [span for span in map(_span, files) if span]
            except FileNotFoundError:  # the kubelet has just rotated it
                continue

    def _folder(self) -> Path:
        node = Path(f"/proc/{enforcer(SLOT)}/root")  # this process of the node goes on if the kubelet ends
        return node / f"var/log/pods/{self.namespace}_{POD}_{self._uid}/{POD}"

    def _kubectl(self, *arguments: str) -> str:
        return self._walk.kubectl("-n", self.namespace, *arguments)

    def _import_image(self) -> None:
        shell = shutil.which(SHELL)
        assert shell
        archive = self._walk.folder / "writer.tar"
        write_archive(Image(IMAGE, Path(shell).resolve(), f"/bin/{SHELL}"), archive)
        run("nsenter", "-t", enforcer(SLOT), "-m", *import_command(str(ensure(catalog.CONTAINERD)), archive))

    def _objects(self) -> list[dict[str, Any]]:
        container = {
            "name": POD,
            "image": IMAGE,
            "imagePullPolicy": "Never",
            "args": ["-c", PROGRAM, POD, str(LINES_A_SECOND), str(CHARACTERS)],
        }
        spec = {"containers": [container], "restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 0}
        return [new_namespace(self.namespace), pod(self.namespace, POD, spec)]


@contextmanager
def writing(walk: UserSession) -> Iterator[WriterPod]:
    """Let a pod write until the block ends."""
    writer = WriterPod(walk)
    try:
        writer.start()
        yield writer
    finally:
        writer.delete()


def _span(file: Path) -> Span | None:
    """Read a log file in the format of the Container Runtime Interface. A last line that was cut does not count."""
    content = file.read_bytes()
    lines = (gzip.decompress(content) if file.suffix == ".gz" else content).rpartition(b"\n")[0].decode()
    if not lines:  # the kubelet has just rotated the one before
        return None
    (begun, first), (ended, last) = map(_content, (lines.partition("\n")[0], lines.rpartition("\n")[2]))
    assert begun == ended
    return Span(begun, first, last)


def _content(line: str) -> tuple[str, int]:
    return run_and_number(line.split(" ", 3)[3])
