"""The files that the node's programs read: certificates, kubeconfigs and configurations."""

import base64
import json
from pathlib import Path
from typing import Any

from localcloud.certificate_authority import Authority, signing_key, write_pair
from localcloud.files import write_whole
from localcloud.node.images import PAUSE
from localcloud.settings import SERVICE_ADDRESS, STS_HOST, Settings


def write_all(settings: Settings, containerd: Path) -> None:
    """Write the configuration of every program below `settings.home`.

    `containerd` is the folder of the programs of containerd and of the CNI plugins.
    """
    for folder in (settings.node / "cni", settings.node / "volumes", settings.collector_queues):
        folder.mkdir(exist_ok=True)
    _write_certificates(settings)
    _write_containerd(settings, containerd)
    _write_kubernetes(settings)
    _write_dns(settings)


def _write_certificates(settings: Settings) -> None:
    authority = Authority.of(settings)
    local = ["127.0.0.1", "localhost", settings.node_address]
    services = [SERVICE_ADDRESS, "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    servers = {"apiserver": [*local, *services], "kubelet-server": [settings.name, *local]}
    for name, names in servers.items():
        write_pair(settings.node / name, authority.issue(name, names=names))
    write_pair(settings.node / "apiserver-kubelet", authority.issue("apiserver", organization="system:masters"))
    write_whole(settings.service_account_key, signing_key(), 0o600)
    clients = {
        "kube-controller-manager": ("system:kube-controller-manager", ""),
        "kube-scheduler": ("system:kube-scheduler", ""),
        "kube-proxy": ("system:kube-proxy", ""),
        "kubelet": (f"system:node:{settings.name}", "system:nodes"),
    }
    for name, (user, group) in clients.items():
        _write_kubeconfig(settings, settings.node / f"{name}.kubeconfig", authority.issue(user, organization=group))
    administrator = authority.issue("administrator", organization="system:masters")
    _write_kubeconfig(settings, settings.kubeconfig, administrator)


def _write_kubeconfig(settings: Settings, path: Path, pair: tuple[bytes, bytes]) -> None:
    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    name = settings.home.name
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": settings.kubernetes_endpoint,
                    "certificate-authority-data": encoded(settings.ca.read_bytes()),
                },
            }
        ],
        "users": [
            {
                "name": name,
                "user": {"client-certificate-data": encoded(pair[0]), "client-key-data": encoded(pair[1])},
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    write_whole(path, json.dumps(content, indent=2), 0o600)


def _write_containerd(settings: Settings, programs: Path) -> None:
    state = settings.node / "containerd"
    write_whole(
        settings.node / "containerd.toml",
        f'''version = 2
root = "{state}/root"
state = "/run/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Without this, runc fails in a nested namespace: "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{programs}"
    conf_dir = "{settings.node}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
''',
    )
    bridge = {
        "type": "bridge",
        "bridge": "opstrace",
        "isGateway": True,
        "ipMasq": False,  # pods only reach the node and each other
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni",
            "ranges": [[{"subnet": settings.pod_cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    chain = {"cniVersion": "0.4.0", "name": "opstrace", "plugins": [bridge]}
    write_whole(settings.node / "cni" / "10-bridge.conflist", json.dumps(chain))


def _write_kubernetes(settings: Settings) -> None:
    kubelet: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.name}",
        "enforceNodeAllocatable": [],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},  # the collectors come with tokens of service accounts
            "x509": {"clientCAFile": str(settings.ca)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{settings.node}/kubelet-server.pem",
        "tlsPrivateKeyFile": f"{settings.node}/kubelet-server-key.pem",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "failSwapOn": False,
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
        "imageGCHighThresholdPercent": 100,  # never remove an image: no registry has it
        "clusterDNS": [settings.node_address],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{settings.node}/resolv.conf",
        "volumePluginDir": str(settings.volume_plugins),  # kubelet creates it; the default folder is on the machine
        "syncFrequency": "5s",  # a changed ConfigMap reaches its pods within this time
        "maxPods": 250,
    }
    proxy = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": f"{settings.node}/kube-proxy.kubeconfig"},
        "clusterCIDR": settings.pod_cidr,
        "conntrack": {"maxPerCore": 0},
    }
    write_whole(settings.node / "kubelet.json", json.dumps(kubelet))
    write_whole(settings.node / "kube-proxy.json", json.dumps(proxy))
    write_whole(settings.node / "resolv.conf", f"nameserver {settings.node_address}\n")


def _write_dns(settings: Settings) -> None:
    # Cortex always calls STS by the region's own name, so this name resolves to the node.
    write_whole(
        settings.node / "cluster.Corefile",
        f"""cluster.local:53 in-addr.arpa:53 {{
    bind {settings.node_address}
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {settings.kubeconfig}
        ttl 5
    }}
}}
{STS_HOST}:53 {{
    bind {settings.node_address}
    hosts {{
        {settings.node_address} {STS_HOST}
    }}
}}
.:53 {{
    bind {settings.node_address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
""",
    )
