"""The programs of the node in the order of their start, each with its readiness check."""

import base64
import json
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from localcloud.settings import Settings
from localcloud.supervisor import Service, answers

WATCH_SECONDS = 300
POLICIES_ENFORCED = "policies-hold"  # this file of the node exists once the kernel enforces the network policies


class Cluster:
    """A client of the API server with the administrator's certificate; it needs only the standard library."""

    def __init__(self, settings: Settings) -> None:
        config = json.loads(settings.kubeconfig.read_text())
        self._server = config["clusters"][0]["cluster"]["server"]
        self.context = ssl.create_default_context(cafile=str(settings.ca))
        user = config["users"][0]["user"]
        with tempfile.NamedTemporaryFile() as pair:  # mode 0600; removed once the context has read it
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            self.context.load_cert_chain(pair.name)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the API server's answer to one request; raises `urllib.error.HTTPError` on a refusal."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self._server}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10, context=self.context) as answer:
            return json.load(answer)

    def watch(self, path: str, version: str) -> Iterator[Any]:
        """Yield the events of a collection of objects since `version`, for `WATCH_SECONDS`."""
        url = f"{self._server}{path}?watch=true&resourceVersion={version}&timeoutSeconds={WATCH_SECONDS}"
        with urllib.request.urlopen(url, timeout=WATCH_SECONDS + 10, context=self.context) as answer:
            yield from map(json.loads, answer)

    def is_ready(self) -> bool:
        """Tell whether the API server answers."""
        return answers(f"{self._server}/readyz", self.context)()

    def node_is_ready(self, name: str) -> bool:
        """Tell whether the kubelet has registered the node, and pods can run on it."""
        try:
            node = self.call("GET", f"/api/v1/nodes/{name}")
        except (urllib.error.URLError, OSError):
            return False
        return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))


def services(settings: Settings, programs: Mapping[str, str], python: str) -> list[Service]:
    """Return the services of the node itself. `programs` maps each tool's name to the folder of its programs."""
    node, kubernetes, name = settings.node, programs["kubernetes"], settings.name
    cluster = Cluster(settings)
    etcd = "http://127.0.0.1:2379"
    return [
        Service(
            "etcd",
            [
                *(f"{programs['etcd']}/etcd", "--data-dir", f"{node}/etcd", "--unsafe-no-fsync"),
                *("--listen-client-urls", etcd, "--advertise-client-urls", etcd),
                *("--listen-peer-urls", "http://127.0.0.1:2380"),
            ],
            answers(f"{etcd}/health"),
        ),
        Service(
            "containerd",
            [f"{programs['containerd']}/containerd", "-c", f"{node}/containerd.toml"],
            Path("/run/containerd/containerd.sock").exists,
        ),
        Service("kube-apiserver", _api_server(settings, kubernetes, etcd), cluster.is_ready),
        Service(
            "kube-controller-manager",
            [
                *(f"{kubernetes}/kube-controller-manager", f"--kubeconfig={node}/kube-controller-manager.kubeconfig"),
                *(f"--service-account-private-key-file={node}/service-accounts.pem", "--leader-elect=false"),
                *(f"--root-ca-file={settings.ca}", "--use-service-account-credentials"),
                *("--concurrent-statefulset-syncs=10", f"--flex-volume-plugin-dir={settings.volume_plugins}"),
            ],
        ),
        Service(
            "kube-scheduler",
            [f"{kubernetes}/kube-scheduler", f"--kubeconfig={node}/kube-scheduler.kubeconfig", "--leader-elect=false"],
        ),
        Service(
            "kubelet",
            [
                *(f"{kubernetes}/kubelet", f"--config={node}/kubelet.json", f"--kubeconfig={node}/kubelet.kubeconfig"),
                *(f"--hostname-override={name}", f"--root-dir={node}/kubelet", f"--node-ip={settings.node_address}"),
            ],
            lambda: cluster.node_is_ready(name),
        ),
        Service(
            "kube-proxy",
            [f"{kubernetes}/kube-proxy", f"--config={node}/kube-proxy.json", f"--hostname-override={name}"],
        ),
        Service("dns", [f"{programs['coredns']}/coredns", "-conf", f"{node}/cluster.Corefile"]),
        Service(
            "policies",
            [python, "-P", "-m", "localcloud.node.policies", str(settings.home), str(settings.slot)],
            (node / POLICIES_ENFORCED).exists,
        ),
        Service("volumes", [python, "-P", "-m", "localcloud.node.volumes", str(settings.home), str(settings.slot)]),
    ]


def _api_server(settings: Settings, kubernetes: str, etcd: str) -> list[str]:
    node = settings.node
    return [
        f"{kubernetes}/kube-apiserver",
        f"--etcd-servers={etcd}",
        f"--advertise-address={settings.node_address}",
        f"--service-cluster-ip-range={settings.service_cidr}",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        "--allow-privileged=true",
        f"--client-ca-file={settings.ca}",
        f"--tls-cert-file={node}/apiserver.pem",
        f"--tls-private-key-file={node}/apiserver-key.pem",
        f"--kubelet-certificate-authority={settings.ca}",
        f"--kubelet-client-certificate={node}/apiserver-kubelet.pem",
        f"--kubelet-client-key={node}/apiserver-kubelet-key.pem",
        f"--service-account-issuer={settings.oidc_issuer}",
        f"--service-account-key-file={node}/service-accounts.pem",
        f"--service-account-signing-key-file={node}/service-accounts.pem",
    ]
