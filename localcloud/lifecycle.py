"""Starting and ending the embedded cloud: everything of it ends with the one process that holds it."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from localcloud import borrowed, ports
from localcloud.aws import alone, services
from localcloud.errors import LocalCloudError
from localcloud.files import write_whole
from localcloud.node import images, namespaces
from localcloud.settings import Settings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.terminal import step

START_SECONDS = 180
STOP_SECONDS = 20


@dataclass(frozen=True)
class Running:
    """The process that holds the embedded cloud; `started` tells it from a later one with its pid."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Running":
        return cls(pid, _started(pid))

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = _started(self.pid) == self.started
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.NoSuchProcess, OSError):
            return None


def _started(pid: int) -> str:
    """Return when a process started, as the kernel counts: a clock that is set does not change it."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]  # field 22 (proc(5))
    return f"{boot} {ticks}"


def running(settings: Settings) -> Running | None:
    """Return the process that holds the embedded cloud, or None."""
    try:
        found = Running(**json.loads(settings.pid_file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if found.process() else None


def is_ready(settings: Settings) -> bool:
    """Tell whether the embedded cloud runs and has come up whole."""
    return running(settings) is not None and (settings.node / "ready").exists()


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the embedded cloud for starting or ending it; a second process waits."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.home / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start(settings: Settings) -> None:
    """Bring the embedded cloud up, building what it needs first; does nothing where it runs already.

    Raises `LocalCloudError` with the reason and the log to read when it does not come up.
    """
    if not settings.borrowed:
        namespaces.require_root()
    tools = catalog.AWS if settings.borrowed else (*catalog.NODE, *catalog.SERVICES)
    programs = {tool.name: str(ensure(tool)) for tool in tools}
    archives = [] if settings.borrowed else [str(images.archive(image)) for image in images.images()]
    with locked(settings):
        if is_ready(settings):
            return
        _clean(settings)
        ports.require_free(settings)
        for folder in (settings.node, settings.logs):
            folder.mkdir(exist_ok=True, mode=0o700)
        services.write_files(settings)
        if settings.borrowed:
            borrowed.remember(settings)
            with step(f"starting AWS on this machine for the cluster of the context {settings.context}", 5):
                _launch(settings, alone.command(settings, programs))
        else:
            namespaces.prepare(settings, programs)
            with step("starting Kubernetes and AWS on this machine", 25):
                _launch(settings, namespaces.command(settings, programs, archives))


def _launch(settings: Settings, command: list[str]) -> None:
    root = Path(__file__).parent.parent
    with (settings.logs / "cloud.log").open("ab") as output:
        process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    write_whole(settings.pid_file, json.dumps(asdict(Running.of(process.pid))))
    try:
        if not settings.borrowed:
            namespaces.connect(settings, process.pid)
        _await_ready(settings, process)
    except BaseException:
        _clean(settings, keep_logs=True)
        raise


def _await_ready(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (settings.node / "ready").exists():
        failed = settings.node / "failed"
        if failed.exists() or process.poll() is not None or time.monotonic() > deadline:
            reason = failed.read_text() if failed.exists() else "it ended or did not answer in time"
            raise LocalCloudError(f"the embedded cloud did not start: {reason}; its logs are in {settings.logs}")
        time.sleep(0.1)


def stop(settings: Settings) -> None:
    """End the embedded cloud and remove everything of it from this machine, but not the engine's state.

    A cluster that the user named is left alone and forgotten.
    """
    with locked(settings):
        _clean(settings)
        settings.borrowed_file.unlink(missing_ok=True)


def _clean(settings: Settings, *, keep_logs: bool = False) -> None:
    found = running(settings)
    process = found.process() if found else None
    if process:
        _end(process)
    else:
        namespaces.require_own(settings)
    namespaces.remove_traces(settings)
    shutil.rmtree(settings.node, ignore_errors=True)
    if not keep_logs:
        shutil.rmtree(settings.logs, ignore_errors=True)
    settings.pid_file.unlink(missing_ok=True)


def _end(process: psutil.Process) -> None:
    """End the process that holds everything, then what is left of its session."""
    session = process.pid
    process.kill()
    left = [other for other in psutil.process_iter() if other != process and _session(other.pid) == session]
    for other in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            other.kill()
    psutil.wait_procs([process, *left], STOP_SECONDS)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
