"""A cloud without a node: moto, and a real API server with its controllers, for which pods are ready at once.

No kubelet and no scheduler: what a kubelet would write into a pod's status is written here.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import boto3
import kubernetes
import urllib3

from localcloud import borrowed, cloud
from localcloud.aws import account, corrections, services
from localcloud.pki import Authority, signing_key, write_pair
from localcloud.plugins.kubernetes_api import KubernetesApi
from localcloud.plugins.provider import ProviderError
from localcloud.settings import REGION, Borrowed, Settings
from localcloud.toolchain import catalog
from localcloud.toolchain.store import ensure
from tests.ports import free_port, own_address
from tests.shell import OFFICIAL
from tests.waiting import eventually

CONTEXT = "bare"
START_SECONDS = 120
POD_SECONDS = 0.2
READY = {
    "phase": "Running",
    "conditions": [{"type": name, "status": "True"} for name in ("PodScheduled", "Ready", "ContainersReady")],
}


class BareCloud:
    """Processes that end with this one, in a folder of their own; `certificates` is the load balancer's quota."""

    def __init__(self, folder: Path, certificates: int = corrections.DEFAULT_CERTIFICATES) -> None:
        self._folder, self._quota = folder, {corrections.CERTIFICATES: str(certificates)}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ended = threading.Event()
        # AWS has its ports 443 and 5000 at a loopback address that is nobody else's.
        address = own_address(1)
        server, issuer = f"https://127.0.0.1:{free_port()}", "https://oidc.example.com/id/BARE"
        self.kubeconfig = str(folder / "own.kubeconfig")
        cluster = Borrowed(CONTEXT, self.kubeconfig, server, issuer, ["10.0.0.10"], address)
        self.settings = Settings(0, folder / "home", cluster)

    def start(self) -> None:
        """Start everything; returns when it answers."""
        for path in (self.settings.home, self.settings.node, self.settings.logs):
            path.mkdir(parents=True, mode=0o700)
        services.write_files(self.settings)
        borrowed.remember(self.settings)
        cloud.prepare_engine(self.settings)
        self._start_aws()
        self._start_kubernetes()
        self.environment = os.environ | cloud.environment(self.settings) | OFFICIAL
        threading.Thread(target=self._make_pods_ready, daemon=True).start()

    def stop(self) -> None:
        """End everything."""
        self._ended.set()
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def aws(self, service: str) -> Any:
        """Return a client of boto3."""
        url = self.settings.s3_endpoint if service == "s3" else self.settings.aws_endpoint
        return boto3.client(
            service, region_name=REGION, endpoint_url=url, verify=str(self.settings.ca), **account.CREDENTIALS
        )

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
        node, authority = self.settings.node, Authority.load_or_create(self.settings.pki)
        names = ["127.0.0.1", "localhost", "kubernetes.default.svc"]
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
        eventually(self._answers, START_SECONDS, 0.1, lambda: "the API server is not ready")
        self._run(
            "kube-controller-manager",
            [
                *(f"{programs}/kube-controller-manager", f"--kubeconfig={self.kubeconfig}"),
                *("--leader-elect=false", f"--secure-port={free_port()}", f"--root-ca-file={self.settings.ca}"),
                f"--service-account-private-key-file={node}/service-accounts.pem",
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

    def _answers(self) -> bool:
        try:
            self.kubernetes = KubernetesApi(self.kubeconfig, CONTEXT)
            self.kubernetes.get("/api/v1/namespaces/default")
        except (ProviderError, ValueError, urllib3.exceptions.HTTPError, kubernetes.client.ApiException):
            return False
        return True

    def _make_pods_ready(self) -> None:
        api = KubernetesApi(self.kubeconfig, CONTEXT)
        while not self._ended.wait(POD_SECONDS):
            try:
                for pod in api.list("/api/v1/pods", fieldSelector="status.phase=Pending"):
                    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
                    api.request("PATCH", path, {"status": READY}, "application/merge-patch+json")
            except ProviderError:  # it went meanwhile, or the server is being ended
                continue


def remove(folder: Path) -> None:
    """Remove what a bare cloud kept on disk."""
    shutil.rmtree(folder, ignore_errors=True)
