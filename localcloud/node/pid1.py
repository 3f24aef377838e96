"""The first process of the node's namespaces. It starts the services; when it ends, the kernel ends them all.

Run by `localcloud.node.namespaces` as `python -m localcloud.node.pid1 SETTINGS_HOME SLOT PROGRAMS IMAGES`
with PROGRAMS and IMAGES as JSON. Its file descriptor 3 is this machine's network namespace.
"""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.collectors.settings import HOST_FOLDER
from localcloud.moto import services as aws
from localcloud.node import images, network
from localcloud.node.services import Cluster, services
from localcloud.node.volumes import storage_class
from localcloud.settings import Settings
from localcloud.supervisor import Supervisor, wait
from localcloud.toolchain import catalog

HOST_NETWORK = 3
# Kubelet, CNI and the collectors' pods write to these folders with any settings. Another node may use them on this machine.
PRIVATE_FOLDERS = (
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    HOST_FOLDER,
)


def _prepare(settings: Settings) -> None:
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    Path("/run/containerd").mkdir()
    for folder in PRIVATE_FOLDERS:
        # The queues of the collectors grow to a gigabyte, so they are on the disk.
        on_disk = ["--bind", str(settings.collector_queues)] if folder == HOST_FOLDER else ["-t", "tmpfs", "tmpfs"]
        subprocess.run(["mount", *on_disk, folder], check=True)
    subprocess.run(["hostname", settings.name], check=True)
    hosts = settings.node / "hosts"
    # Servers look up the node's name, which no name server knows.
    hosts.write_text(f"127.0.0.1 localhost\n{settings.node_address} {settings.name}\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    wait("the node's network", lambda: network.configure_inside(settings), 10)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def main() -> None:
    """Start the node and the embedded AWS, and run until killed."""
    settings = Settings(int(sys.argv[2]), Path(sys.argv[1]))
    programs: dict[str, str] = json.loads(sys.argv[3])
    archives: list[str] = json.loads(sys.argv[4])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # containerd looks for runc and its shim on PATH, kube-proxy for nft, and kubelet for mount and the like.
    os.environ["PATH"] = ":".join([*programs.values(), os.environ["PATH"], "/usr/sbin", "/sbin"])

    def begin(supervisor: Supervisor) -> None:
        _prepare(settings)
        _start(settings, supervisor, programs, archives)

    Supervisor(settings, HOST_NETWORK).serve(begin)


def _start(settings: Settings, supervisor: Supervisor, programs: dict[str, str], archives: list[str]) -> None:
    api = aws.api(settings, sys.executable)
    by_name = {service.name: service for service in services(settings, programs, sys.executable)}
    # These three need no other service, so they start together.
    for service in (api, by_name["etcd"], by_name["containerd"]):
        supervisor.start(service)
    wait("etcd", by_name["etcd"].ready)
    supervisor.start(by_name["kube-apiserver"])
    wait("containerd", by_name["containerd"].ready)
    importer = ThreadPoolExecutor(max_workers=len(archives))  # in parallel: unpacking waits for the disk
    imports = [importer.submit(images.import_archive, programs["containerd"], Path(archive)) for archive in archives]
    wait("kube-apiserver", by_name["kube-apiserver"].ready)
    Cluster(settings).call("POST", "/apis/storage.k8s.io/v1/storageclasses", storage_class())
    aws.make_account(settings, api)
    started = ("etcd", "containerd", "kube-apiserver")
    for service in [
        *(service for name, service in by_name.items() if name not in started),
        *aws.followers(settings, programs, sys.executable),
    ]:
        supervisor.start(service)
    for future in imports:
        future.result()
    if catalog.OTELCOL.name not in programs:
        supervisor.start(images.later(settings, programs["containerd"], sys.executable))
    wait("the node", by_name["kubelet"].ready)
    wait("enforcing network policies", by_name["policies"].ready)


if __name__ == "__main__":
    main()
