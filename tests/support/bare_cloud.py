"""A cloud without a node: moto, and a real API server with its controllers, whose pods are ready at once.

The cloud has no kubelet and no scheduler. A thread writes the status that a kubelet would write.
"""

import base64
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import boto3

from localcloud import cloud, user_cluster
from localcloud.certificate_authority import Authority, signing_key, write_pair
from localcloud.moto import patches, services
from localcloud.moto.authorization import credentials
from localcloud.plugins.kubernetes.api import KubernetesApi
from localcloud.plugins.provider import ProviderError
from localcloud.settings import REGION, Settings, UserCluster
from localcloud.supervisor import answers
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from scripts.engine.pulumi import COLLECTOR
from tests.support.polling import eventually
from tests.support.ports import free_port, own_address
from tests.support.shell import OFFICIAL

CONTEXT = "bare"
START_SECONDS = 120
POD_SECONDS = 0.2
READY = {
    "phase": "Running",
    "conditions": [{"type": name, "status": "True"} for name in ("PodScheduled", "Ready", "ContainersReady")],
}


class BareCloud:
    """Processes that end with the test process, in their own folder.

    `certificates` is the load balancer's quota of certificates.
    """

    def __init__(self, folder: Path, certificates: int = patches.DEFAULT_CERTIFICATES) -> None:
        self._folder, self._quota = folder, {patches.CERTIFICATES: str(certificates)}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ended = threading.Event()
        # AWS listens on ports 443 and 5000 of a loopback address that no other process of the tests uses.
        address = own_address(1)
        server, issuer = f"https://127.0.0.1:{free_port()}", "https://oidc.example.com/id/BARE"
        self.kubeconfig = str(folder / "own.kubeconfig")
        cluster = UserCluster(CONTEXT, self.kubeconfig, server, issuer, ["10.0.0.10"], address)
        self.settings = Settings(0, folder / "home", cluster)

    def start(self) -> None:
        """Start all processes; returns when AWS and the API server answer."""
        for path in (self.settings.home, self.settings.node, self.settings.logs):
            path.mkdir(parents=True, mode=0o700)
        services.write_files(self.settings)
        user_cluster.remember(self.settings)
        cloud.prepare_engine(self.settings)
        self._start_aws()
        self._start_kubernetes()
        self.environment = COLLECTOR | os.environ | cloud.environment(self.settings) | OFFICIAL
        threading.Thread(target=self._make_pods_ready, daemon=True).start()

    def stop(self) -> None:
        """End all processes."""
        self._ended.set()
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def aws(self, service: str) -> Any:
        """Return a boto3 client of a service, with the administrator's credentials."""
        url = self.settings.s3_endpoint if service == "s3" else self.settings.aws_endpoint
        keys: Any = credentials.administrator(self.settings)
        return boto3.client(service, region_name=REGION, endpoint_url=url, verify=str(self.settings.ca), **keys)

    def _run(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
        with (self.settings.logs / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=os.environ | (environment or {}),
                )
            )

    def _start_aws(self) -> None:
        api = services.api(self.settings, sys.executable)
        self._run(api.name, api.command, {**api.environment, **self._quota})
        services.make_account(self.settings, api)

    def _start_kubernetes(self) -> None:
        node, authority = self.settings.node, Authority.of(self.settings)
        names = ["127.0.0.1", "localhost"]
        write_pair(node / "apiserver", authority.issue("apiserver", names=names))
        (node / "service-accounts.pem").write_bytes(signing_key())
        self._write_kubeconfig(authority.issue("administrator", organization="system:masters"))
        etcd, peers = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        programs = ensure(catalog.KUBERNETES)
        self._run(
            "etcd",
            [
                *(f"{ensure(catalog.ETCD)}/etcd", "--data-dir", f"{node}/etcd", "--unsafe-no-fsync"),
                *("--listen-client-urls", etcd, "--advertise-client-urls", etcd),
                *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
                *("--initial-cluster", f"default={peers}"),
            ],
        )
        self._run("kube-apiserver", [f"{programs}/kube-apiserver", *self._api_options(etcd)])
        # `readyz`, since the API server answers some requests before it lists all its kinds.
        context = ssl.create_default_context(cafile=str(self.settings.ca))
        is_ready = answers(f"{self.settings.kubernetes_endpoint}/readyz", context)
        eventually(is_ready, START_SECONDS, 0.1, lambda: "the API server is not ready")
        self.kubernetes = KubernetesApi(self.kubeconfig, CONTEXT)
        self._run(
            "kube-controller-manager",
            [
                *(f"{programs}/kube-controller-manager", f"--kubeconfig={self.kubeconfig}"),
                *("--leader-elect=false", f"--secure-port={free_port()}", f"--root-ca-file={self.settings.ca}"),
                f"--service-account-private-key-file={node}/service-accounts.pem",
                # The controller manager creates this folder; the default is in /usr/libexec/kubernetes of the host.
                f"--flex-volume-plugin-dir={self.settings.volume_plugins}",
            ],
        )

    def _api_options(self, etcd: str) -> list[str]:
        node, server = self.settings.node, self.settings.kubernetes_endpoint
        return [
            f"--etcd-servers={etcd}",
            *("--bind-address=127.0.0.1", f"--secure-port={server.rsplit(':', 1)[-1]}"),
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            f"--client-ca-file={self.settings.ca}",
            f"--tls-cert-file={node}/apiserver.pem",
            f"--tls-private-key-file={node}/apiserver-key.pem",
            f"--service-account-issuer={self.settings.oidc_issuer}",
            f"--service-account-key-file={node}/service-accounts.pem",
            f"--service-account-signing-key-file={node}/service-accounts.pem",
        ]

    def _write_kubeconfig(self, pair: tuple[bytes, bytes]) -> None:
        certificate, key = (base64.b64encode(part).decode() for part in pair)
        authority = base64.b64encode(self.settings.ca.read_bytes()).decode()
        cluster = {"server": self.settings.kubernetes_endpoint, "certificate-authority-data": authority}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": CONTEXT, "user": {"client-certificate-data": certificate, "client-key-data": key}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        }
        Path(self.kubeconfig).write_text(json.dumps(content))

    def _make_pods_ready(self) -> None:
        api = KubernetesApi(self.kubeconfig, CONTEXT)
        while not self._ended.wait(POD_SECONDS):
            try:
                for pod in api.list("/api/v1/pods", fieldSelector="status.phase=Pending"):
                    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
                    api.request("PATCH", path, {"status": READY}, "application/merge-patch+json")
            except ProviderError:  # the pod was deleted meanwhile, or the server is stopping
                continue


def remove(folder: Path) -> None:
    """Remove the folder of a bare cloud."""
    shutil.rmtree(folder, ignore_errors=True)
