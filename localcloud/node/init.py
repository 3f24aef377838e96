"""The first process of the node's namespaces: starts its services, and takes all of them along when it ends.

Run by `localcloud.node.namespaces` as `python -m localcloud.node.init SETTINGS_HOME SLOT PROGRAMS IMAGES`
with PROGRAMS and IMAGES as JSON, and the file descriptor 3 on this machine's network namespace.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcloud.aws import services as aws
from localcloud.node import network
from localcloud.node.services import Cluster, services
from localcloud.node.volumes import storage_class
from localcloud.settings import Settings
from localcloud.supervisor import StartError, Supervisor, say, wait

HOST_NETWORK = 3
# What kubelet and CNI write to whatever their settings are; of another node on this machine, if it has one.
PRIVATE_FOLDERS = (
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/usr/libexec/kubernetes",
)


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
    wait("the node's network", lambda: network.configure_inside(settings), 10)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _import_image(containerd: str, archive: str) -> None:
    started = time.monotonic()
    command = [f"{containerd}/ctr", "-n", "k8s.io", "images", "import", archive]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StartError(f"the image {Path(archive).name} cannot be imported: {done.stderr.strip()}")
    say(f"{Path(archive).stem} is imported after {time.monotonic() - started:.1f} s")


def main() -> None:
    """Bring the node and the embedded AWS up, and stay until killed."""
    settings = Settings(int(sys.argv[2]), Path(sys.argv[1]))
    programs: dict[str, str] = json.loads(sys.argv[3])
    archives: list[str] = json.loads(sys.argv[4])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # containerd finds runc and its shim, kube-proxy finds nft, and kubelet mount and the like, on PATH.
    os.environ["PATH"] = ":".join([*programs.values(), os.environ["PATH"], "/usr/sbin", "/sbin"])

    def begin(supervisor: Supervisor) -> None:
        _prepare(settings)
        _start(settings, supervisor, programs, archives)

    Supervisor(settings, HOST_NETWORK).serve(begin)


def _start(settings: Settings, supervisor: Supervisor, programs: dict[str, str], archives: list[str]) -> None:
    api = aws.api(settings, sys.executable)
    by_name = {service.name: service for service in services(settings, programs, sys.executable)}
    # The three that wait for nothing start together.
    for service in (api, by_name["etcd"], by_name["containerd"]):
        supervisor.start(service)
    wait("etcd", by_name["etcd"].ready)
    supervisor.start(by_name["kube-apiserver"])
    wait("containerd", by_name["containerd"].ready)
    importer = ThreadPoolExecutor(max_workers=len(archives))  # at once: unpacking waits for the disk
    imports = [importer.submit(_import_image, programs["containerd"], archive) for archive in archives]
    wait("kube-apiserver", by_name["kube-apiserver"].ready)
    Cluster(settings).call("POST", "/apis/storage.k8s.io/v1/storageclasses", storage_class())
    aws.make_account(settings, api)
    started = ("etcd", "containerd", "kube-apiserver")
    for service in [
        *(service for name, service in by_name.items() if name not in started),
        *aws.followers(settings, programs, sys.executable),
    ]:
        supervisor.start(service)
    for done in imports:
        done.result()
    wait("the node", by_name["kubelet"].ready)
    wait("enforcing network policies", by_name["policies"].ready)


if __name__ == "__main__":
    main()
