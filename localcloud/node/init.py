"""The first process of the node's namespaces: starts its services, and takes all of them along when it ends.

Run by `localcloud.node.lifecycle` as `python -m localcloud.node.init SETTINGS_HOME SLOT PROGRAMS IMAGES`
with PROGRAMS and IMAGES as JSON, and the file descriptor 3 on this machine's network namespace.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcloud.aws import account
from localcloud.aws.edge import CLUSTERS, LISTENERS, envoy_bootstrap
from localcloud.files import write_whole
from localcloud.node import network
from localcloud.node.services import Cluster, Service, services
from localcloud.node.volumes import storage_class
from localcloud.settings import Settings

HOST_NETWORK = 3
START_SECONDS = 60
# What kubelet and CNI write to whatever their settings are; of another node on this machine, if it has one.
PRIVATE_FOLDERS = (
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/usr/libexec/kubernetes",
)
RESTART_SECONDS = 1.0


class StartError(Exception):
    """A service did not come up; the text is shown to the user."""


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _wait(what: str, check: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    started = time.monotonic()
    while not check():
        if time.monotonic() - started > seconds:
            raise StartError(f"{what} was not ready after {seconds:.0f} s")
        time.sleep(0.1)
    _say(f"{what} is ready after {time.monotonic() - started:.1f} s")


class Supervisor:
    """Keeps every service running; one that ends is started again, and what was said of it is in its log."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # The processes too: one that nobody holds is waited for by the next Popen, and its end is lost.
        self._running: dict[int, tuple[Service, subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()

    def start(self, service: Service) -> None:
        """Start `service`, with its output in `logs/<name>.log`."""
        command = service.command
        if service.on_host_network:
            command = ["nsenter", f"--net=/proc/self/fd/{HOST_NETWORK}", *command]
        with (self._settings.logs / f"{service.name}.log").open("ab") as output, self._lock:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(service.environment),
                pass_fds=[HOST_NETWORK] if service.on_host_network else [],
            )
            self._running[process.pid] = (service, process)

    def reap(self) -> None:
        """Wait for processes that end, for ever: services are started again, orphans only taken note of."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                pid = 0
            if pid == 0:
                time.sleep(0.05)
                continue
            with self._lock:
                found = self._running.pop(pid, None)
            if found:
                service = found[0]
                _say(f"{service.name} ended with {os.waitstatus_to_exitcode(status)}; starting it again")
                time.sleep(RESTART_SECONDS)
                self.start(service)


def _prepare(settings: Settings) -> None:
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    Path("/run/containerd").mkdir()
    for folder in PRIVATE_FOLDERS:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    subprocess.run(["hostname", settings.name], check=True)
    hosts = settings.node / "hosts"
    # The node's address too: servers look up the name of what they bind to, and nobody else would answer.
    hosts.write_text(f"127.0.0.1 localhost\n{settings.node_address} {settings.name}\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    _wait("the node's network", lambda: network.configure_inside(settings), 10)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    write_whole(settings.node / "edge" / "envoy.json", json.dumps(envoy_bootstrap(settings)))
    for name in (CLUSTERS, LISTENERS):
        write_whole(settings.node / "edge" / name, '{"resources": []}')


def _import_image(containerd: str, archive: str) -> None:
    started = time.monotonic()
    command = [f"{containerd}/ctr", "-n", "k8s.io", "images", "import", archive]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StartError(f"the image {Path(archive).name} cannot be imported: {done.stderr.strip()}")
    _say(f"{Path(archive).stem} is imported after {time.monotonic() - started:.1f} s")


def main() -> None:
    """Bring the node up, say so in `node/ready` (or why not in `node/failed`), and stay until killed."""
    settings = Settings(int(sys.argv[2]), Path(sys.argv[1]))
    programs: dict[str, str] = json.loads(sys.argv[3])
    archives: list[str] = json.loads(sys.argv[4])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # containerd finds runc and its shim, kube-proxy finds nft, and kubelet mount and the like, on PATH.
    os.environ["PATH"] = ":".join([*programs.values(), os.environ["PATH"], "/usr/sbin", "/sbin"])
    supervisor = Supervisor(settings)
    try:
        _prepare(settings)
        _start(settings, supervisor, programs, archives)
    except Exception as error:
        write_whole(settings.node / "failed", f"{error}")
        raise
    write_whole(settings.node / "ready", "")
    supervisor.reap()


def _start(settings: Settings, supervisor: Supervisor, programs: dict[str, str], archives: list[str]) -> None:
    all_services = services(settings, programs, sys.executable)
    by_name = {service.name: service for service in all_services}
    # The three that wait for nothing start together.
    first = [by_name[name] for name in ("aws", "etcd", "containerd")]
    for service in first:
        supervisor.start(service)
    _wait("etcd", by_name["etcd"].ready)
    supervisor.start(by_name["kube-apiserver"])
    _wait("containerd", by_name["containerd"].ready)
    importer = ThreadPoolExecutor(max_workers=len(archives))  # at once: unpacking waits for the disk
    imports = [importer.submit(_import_image, programs["containerd"], archive) for archive in archives]
    _wait("kube-apiserver", by_name["kube-apiserver"].ready)
    Cluster(settings).call("POST", "/apis/storage.k8s.io/v1/storageclasses", storage_class())
    _wait("the AWS API", by_name["aws"].ready)
    write_whole(settings.node / "account.json", json.dumps(account.create(settings)))
    for service in all_services:
        if service not in first and service.name != "kube-apiserver":
            supervisor.start(service)
            if service.name == "edge":
                _wait("edge", service.ready)
    for done in imports:
        done.result()
    _wait("the node", by_name["kubelet"].ready)


if __name__ == "__main__":
    main()
