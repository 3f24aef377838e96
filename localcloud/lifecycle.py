"""Start and end of the embedded cloud. One process holds it: when that process ends, everything else ends."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil
from filelock import FileLock

from localcloud import free_ports, processes, user_cluster
from localcloud.errors import LocalCloudError
from localcloud.files import write_whole
from localcloud.moto import services, standalone
from localcloud.node import images, namespaces
from localcloud.processes import Holder
from localcloud.progress import Progress
from localcloud.settings import Settings
from localcloud.supervisor import until
from localcloud.toolchain import catalog
from localcloud.toolchain.store import cached, ensure_all

START_SECONDS = 180


def record(settings: Settings, holder: Holder) -> None:
    """Write down which process holds the embedded cloud."""
    write_whole(settings.pid_file, json.dumps(asdict(holder)))


def _recorded_holder(settings: Settings) -> Holder | None:
    """Return the process that the last start recorded, whether or not it still runs."""
    try:
        return Holder(**json.loads(settings.pid_file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def running(settings: Settings) -> psutil.Process | None:
    """Return the process that holds the embedded cloud, or None."""
    holder = _recorded_holder(settings)
    return holder.process() if holder else None


def is_ready(settings: Settings) -> bool:
    """Tell whether the embedded cloud runs and all its services have started."""
    return running(settings) is not None and (settings.node / "ready").exists()


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Let one process at a time start or end the embedded cloud; others wait."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.home.chmod(0o700)  # older versions created it with another mode
    with FileLock(settings.home / ".lock", fallback_to_soft=False):
        yield


def start(settings: Settings, progress: Progress, *, trust_release_host: bool = False) -> None:
    """Install the tools and start the embedded cloud; does nothing where it runs already.

    With `trust_release_host`, releases of tools are used without a pinned checksum too. Raises `LocalCloudError` with the
    reason and the folder of the logs where it does not start.
    """
    if not settings.user_cluster:
        namespaces.require_root()
    tools = catalog.AWS if settings.user_cluster else (*catalog.NODE, *catalog.SERVICES)
    accepted = [tool.trusting_hosts() for tool in tools] if trust_release_host else tools
    programs = {name: str(folder) for name, folder in ensure_all(accepted, progress).items()}
    if not settings.user_cluster:
        programs |= {tool.name: str(folder) for tool in catalog.LATER if (folder := cached(tool))}
    archives = [] if settings.user_cluster else [str(images.archive(image)) for image in images.images(programs)]
    with locked(settings):
        if is_ready(settings):
            return
        _clean(settings)
        free_ports.require_free(settings)
        for folder in (settings.node, settings.logs):
            folder.mkdir(exist_ok=True, mode=0o700)
        services.write_files(settings)
        if settings.user_cluster:
            user_cluster.remember(settings)
            with progress.step(f"starting AWS on this machine for the cluster of the context {settings.context}", 5):
                _launch(settings, standalone.command(settings, programs))
        else:
            namespaces.prepare(settings, programs)
            with progress.step("starting Kubernetes and AWS on this machine", 25):
                _launch(settings, namespaces.command(settings, programs, archives))


def _launch(settings: Settings, command: list[str]) -> None:
    root = Path(__file__).parent.parent
    with (settings.logs / "cloud.log").open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=os.environ
            | {"PYTHONPATH": str(root)},  # only the checkout: -P keeps the working directory off the path
            umask=0o022,  # pods of other users read folders that the node's programs create
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    record(settings, Holder.of(process.pid))
    try:
        if not settings.user_cluster:
            namespaces.connect(settings, process.pid)
        _await_ready(settings, process)
    except BaseException:
        _clean(settings, keep_logs=True)
        process.wait()
        raise


def _await_ready(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    ready, failed = settings.node / "ready", settings.node / "failed"
    until(lambda: ready.exists() or failed.exists() or process.poll() is not None, START_SECONDS)
    if not ready.exists():
        reason = failed.read_text() if failed.exists() else f"it ended or was not ready after {START_SECONDS} s"
        raise LocalCloudError(f"the embedded cloud did not start: {reason}; read the logs in {settings.logs}")


def stop(settings: Settings) -> None:
    """End the embedded cloud and remove it from this machine, except for the engine's state.

    A cluster that the user named stays unchanged, and its record is removed.
    """
    with locked(settings):
        _clean(settings)
        settings.user_cluster_file.unlink(missing_ok=True)


def _clean(settings: Settings, *, keep_logs: bool = False) -> None:
    """End the cloud's processes, and remove its traces once all of them are gone.

    A kubelet that still runs would create its folders again, on the machine itself.
    """
    holder = _recorded_holder(settings)
    process = holder.process() if holder else None
    if process:
        processes.end(process)
    else:
        if holder:
            processes.await_end(holder)
        namespaces.require_own(settings)
    namespaces.remove_traces(settings)
    shutil.rmtree(settings.node, ignore_errors=True)
    if not keep_logs:
        shutil.rmtree(settings.logs, ignore_errors=True)
    settings.pid_file.unlink(missing_ok=True)
