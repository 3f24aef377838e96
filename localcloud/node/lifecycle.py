"""Starting and ending the node, from outside its namespaces."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from localcloud.errors import LocalCloudError
from localcloud.files import write_whole
from localcloud.node import cgroups, configuration, images, network
from localcloud.node.init import HOST_NETWORK, PRIVATE_FOLDERS
from localcloud.settings import Settings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.terminal import step

START_SECONDS = 180
STOP_SECONDS = 20
UNSHARE = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--mount-proc", "--kill-child")


@dataclass(frozen=True)
class Running:
    """The process that holds the node; `started` tells it from a later one with its pid."""

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
    """Return the node that runs, or None."""
    try:
        found = Running(**json.loads(settings.pid_file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if found.process() else None


def is_ready(settings: Settings) -> bool:
    """Tell whether the node runs and has come up whole."""
    return running(settings) is not None and (settings.node / "ready").exists()


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the embedded cloud for starting or ending it; a second process waits."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.home / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _require_root() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise LocalCloudError(
            "the embedded cluster needs root on Linux; run this as root, or use a cluster that you have "
            "(a kubeconfig's; kind, k3d and minikube make one) and an AWS account with the provider `aws`"
        )


def _require_free_ports(settings: Settings) -> None:
    kinds = ((settings.https_port, socket.SOCK_STREAM), (settings.dns_port, socket.SOCK_DGRAM))
    for port, kind in kinds:
        with socket.socket(socket.AF_INET, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError as error:
                raise LocalCloudError(
                    f"port {port} of 127.0.0.1 is in use by {_owner(port)}; stop it, or set OPSTRACE_LOCAL_SLOT "
                    "to another number from 0 to 9, which moves all ports by as much"
                ) from error


def _owner(port: int) -> str:
    for connection in psutil.net_connections("inet"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            with contextlib.suppress(psutil.NoSuchProcess):
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another process"


def start(settings: Settings) -> None:
    """Bring the node up, building what it needs first; does nothing where it runs already.

    Raises `LocalCloudError` with the reason and the log to read when it does not come up.
    """
    _require_root()
    tools = [*catalog.NODE, *catalog.SERVICES]
    programs = {tool.name: str(ensure(tool)) for tool in tools}
    archives = [str(images.archive(image)) for image in images.images()]
    with locked(settings):
        if is_ready(settings):
            return
        _clean(settings)
        _require_free_ports(settings)
        configuration.write_all(settings, Path(programs["containerd"]))
        configuration.write_zone_dns(settings, {})
        with step("starting Kubernetes and AWS on this machine", 25):
            _launch(settings, programs, archives)


def _launch(settings: Settings, programs: Mapping[str, str], archives: list[str]) -> None:
    cgroups.create(settings.name)
    _make_folders(settings)
    command = [
        *("unshare", *UNSHARE, sys.executable, "-m", "localcloud.node.init"),
        *(str(settings.home), str(settings.slot), json.dumps(dict(programs)), json.dumps(archives)),
    ]
    root = Path(__file__).parent.parent.parent
    with (settings.logs / "node.log").open("ab") as output:
        process = subprocess.Popen(
            ["sh", "-c", f'exec {HOST_NETWORK}</proc/self/ns/net && exec "$@"', "sh", *command],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    write_whole(settings.pid_file, json.dumps(asdict(Running.of(process.pid))))
    try:
        network.connect(settings, _inner_process(process.pid))
        _await_ready(settings, process)
    except BaseException:
        _clean(settings, keep_logs=True)
        raise


def _make_folders(settings: Settings) -> None:
    """Make the folders that the node mounts over, and note which of them were not there."""
    made = []
    for folder in map(Path, PRIVATE_FOLDERS):
        missing = [path for path in [folder, *folder.parents] if not path.exists()]
        made += [str(path) for path in missing]
        folder.mkdir(parents=True, exist_ok=True)
    noted = settings.home / "folders.json"
    if made or not noted.exists():
        write_whole(noted, json.dumps(made))


def _remove_folders(settings: Settings) -> None:
    noted = settings.home / "folders.json"
    if noted.exists():
        for folder in sorted(json.loads(noted.read_text()), key=len, reverse=True):
            with contextlib.suppress(OSError):  # somebody else's by now: it is not empty
                Path(folder).rmdir()
        noted.unlink()


def _require_own(settings: Settings) -> None:
    """Raise `LocalCloudError` where a cloud of this slot runs that belongs to another user or state folder."""
    deadline = time.monotonic() + 5
    while network.is_connected(settings):  # the cable goes soon after the node that it leads to
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"another embedded cloud runs in slot {settings.slot}, started with another HOME or XDG_STATE_HOME; "
                "end it with these, or set OPSTRACE_LOCAL_SLOT to another number from 0 to 9"
            )
        time.sleep(0.2)


def _inner_process(pid: int) -> int:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        children = psutil.Process(pid).children()
        if children:
            return children[0].pid
        time.sleep(0.02)
    raise LocalCloudError("the node's namespaces could not be made; `unshare` says why in logs/node.log")


def _await_ready(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (settings.node / "ready").exists():
        failed = settings.node / "failed"
        if failed.exists() or process.poll() is not None or time.monotonic() > deadline:
            reason = failed.read_text() if failed.exists() else "it ended or did not answer in time"
            raise LocalCloudError(f"the embedded cloud did not start: {reason}; its logs are in {settings.logs}")
        time.sleep(0.1)


def stop(settings: Settings) -> None:
    """End the node and remove everything of it from this machine, but not the engine's state."""
    with locked(settings):
        _clean(settings)


def _clean(settings: Settings, *, keep_logs: bool = False) -> None:
    found = running(settings)
    process = found.process() if found else None
    if process:
        parts = [*process.children(), process]
        for part in parts:
            with contextlib.suppress(psutil.NoSuchProcess):
                part.send_signal(signal.SIGKILL)
        psutil.wait_procs(parts, STOP_SECONDS)
    else:
        _require_own(settings)
    cgroups.remove(settings.name)
    network.disconnect(settings)
    _remove_folders(settings)
    shutil.rmtree(settings.node, ignore_errors=True)
    if not keep_logs:
        shutil.rmtree(settings.logs, ignore_errors=True)
    settings.pid_file.unlink(missing_ok=True)
