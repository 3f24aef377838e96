"""The folders, addresses and ports of an embedded cloud on this machine.

A machine can run several embedded clouds, each in its own slot. The tests use other slots than the user. Everything
that must differ between them derives from the slot.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.errors import LocalCloudError
from localcloud.folders import state_folder

PREFIX = "opst"  # of the names of nodes, their interfaces and cgroups
REGION = "us-west-2"
STS_HOST = f"sts.{REGION}.amazonaws.com"
DOMAIN = "opstrace.localhost"  # names below localhost only reach this machine (RFC 6761)
SLOTS = 10
HTTP_PORT = 5000  # of the AWS API
SERVICE_ADDRESS = "10.96.0.1"  # of the API server, in the cluster
HTTPS_PORT = 443  # of the AWS API too: Cortex cannot use another port for STS


@dataclass(frozen=True)
class UserCluster:
    """A cluster that the user named, which replaces the node. The embedded cloud never starts, changes or ends it.

    Attributes:
        context: Its name in `kubeconfig`.
        kubeconfig: One file or several, in the form of the variable KUBECONFIG.
        server: URL of the API server.
        oidc_issuer: Issuer of the service account tokens.
        node_addresses: The nodes' IPv4 addresses.
        address: This machine's address at which the cluster's pods reach it.
        issuer_keys: Public keys of the service account tokens, each a JWK.
    """

    context: str
    kubeconfig: str
    server: str
    oidc_issuer: str
    node_addresses: list[str]
    address: str
    issuer_keys: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    """Everything that is fixed for one embedded cloud. `slot` is 0 to 9. Without `user_cluster` its cluster is the node."""

    slot: int
    home: Path
    user_cluster: UserCluster | None = None

    @classmethod
    def of(cls, slot: int, home: Path) -> "Settings":
        """Return the settings of the cloud in `home`, with the user's cluster if the cloud has recorded one."""
        settings = cls(slot, home)
        if not settings.user_cluster_file.exists():
            return settings
        return cls(slot, home, UserCluster(**json.loads(settings.user_cluster_file.read_text())))

    @property
    def name(self) -> str:
        """Name of the node, of its network interface and of its cgroup."""
        return f"{PREFIX}{self.slot}"

    @property
    def network(self) -> str:
        """The first two bytes of the addresses of the node and its pods."""
        return f"10.{243 - self.slot}"

    @property
    def host_address(self) -> str:
        """This machine's address, as the node sees it."""
        return f"{self.network}.0.1"

    @property
    def node_address(self) -> str:
        """The node's address, as this machine and the pods see it."""
        return f"{self.network}.0.10"

    @property
    def node_addresses(self) -> list[str]:
        """The addresses of the cluster's nodes, to which the load balancer connects."""
        return self.user_cluster.node_addresses if self.user_cluster else [self.node_address]

    @property
    def aws_address(self) -> str:
        """The address at which pods, this machine and the engine reach AWS."""
        return self.user_cluster.address if self.user_cluster else self.node_address

    @property
    def pod_cidr(self) -> str:
        """The addresses of the node's pods."""
        return f"{self.network}.128.0/24"

    @property
    def service_cidr(self) -> str:
        """The addresses of the cluster's Services."""
        return "10.96.0.0/16"

    @property
    def https_port(self) -> int:
        """Port on 127.0.0.1 at which the load balancer listens."""
        return 8443 + self.slot

    @property
    def dns_port(self) -> int:
        """Port on 127.0.0.1 of the name server for the Route53 zones."""
        return 8053 + self.slot

    @property
    def aws_endpoint(self) -> str:
        """URL of the AWS API."""
        return f"http://{self.aws_address}:{HTTP_PORT}"

    @property
    def s3_endpoint(self) -> str:
        """URL of S3, over TLS: the buckets' policies refuse requests without."""
        return f"https://{self.aws_address}"

    @property
    def kubernetes_endpoint(self) -> str:
        """URL of the Kubernetes API server."""
        return self.user_cluster.server if self.user_cluster else f"https://{self.node_address}:6443"

    @property
    def oidc_issuer(self) -> str:
        """Issuer of the cluster's service account tokens; the node's has the form of EKS's issuers."""
        if self.user_cluster:
            return self.user_cluster.oidc_issuer
        return f"https://oidc.eks.{REGION}.amazonaws.com/id/LOCAL{self.slot}"

    @property
    def context(self) -> str:
        """Name of the cluster in `kubeconfigs`."""
        return self.user_cluster.context if self.user_cluster else self.home.name

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file of the embedded cloud."""
        return self.home / "kubeconfig"

    @property
    def kubeconfigs(self) -> str:
        """The value for KUBECONFIG. With the user's cluster, the embedded cloud's own file only selects the context."""
        return f"{self.kubeconfig}:{self.user_cluster.kubeconfig}" if self.user_cluster else str(self.kubeconfig)

    @property
    def user_cluster_file(self) -> Path:
        """The file that records the cluster that the user named."""
        return self.home / "cluster.json"

    @property
    def ca(self) -> Path:
        """The certificate that clients of the load balancer must trust."""
        return self.home / "pki" / "ca.pem"

    @property
    def pki(self) -> Path:
        """The folder of the certificate authority."""
        return self.home / "pki"

    @property
    def node(self) -> Path:
        """The folder of the node's and AWS's data; every start empties it."""
        return self.home / "node"

    @property
    def aws_credentials(self) -> Path:
        """The file of the AWS administrator's credentials; every start creates new ones."""
        return self.node / "aws-credentials.json"

    @property
    def changed(self) -> Path:
        """The file whose time is updated whenever AWS may have changed."""
        return self.node / "edge" / "changed"

    @property
    def service_account_key(self) -> Path:
        """The file of the private key with which the node's cluster signs service account tokens."""
        return self.node / "service-accounts.pem"

    @property
    def volume_plugins(self) -> Path:
        """The folder in which kubelet and the controller manager look for FlexVolume plugins; it stays empty."""
        return self.node / "volume-plugins"

    @property
    def collector_queues(self) -> Path:
        """The folder of what the node's collectors have not sent yet."""
        return self.node / "collectors"

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.home / "logs"

    @property
    def pulumi(self) -> Path:
        """The folder of the engine's home, state and passphrase, which outlive the node."""
        return self.home / "pulumi"

    @property
    def official_plugins_file(self) -> Path:
        """The file whose existence records that the user chose the official plugins."""
        return self.pulumi / "official-plugins"

    @property
    def official_home(self) -> Path:
        """The engine's home with the official plugins."""
        return self.pulumi / "official"

    @property
    def stand_ins_home(self) -> Path:
        """The engine's home with the stand-in plugins."""
        return self.pulumi / "home"

    @property
    def engine_home(self) -> Path:
        """The engine's home (PULUMI_HOME) in use."""
        return self.official_home if self.official_plugins_file.exists() else self.stand_ins_home

    @property
    def pid_file(self) -> Path:
        """The file that records the process that holds the cloud."""
        return self.home / "pid"


def not_running() -> LocalCloudError:
    """Return the error of a command that needs an embedded cloud which runs."""
    return LocalCloudError("the embedded cloud does not run; start it: `./opstrace local up`")


def settings_from_environment() -> Settings:
    """Return the settings of the slot in `OPSTRACE_LOCAL_SLOT`, by default 0; raises `LocalCloudError` for another value."""
    text = os.environ.get("OPSTRACE_LOCAL_SLOT", "0")
    if text not in [str(slot) for slot in range(SLOTS)]:
        raise LocalCloudError(f"OPSTRACE_LOCAL_SLOT is {text!r}; set it to a number from 0 to {SLOTS - 1}")
    return Settings.of(int(text), state_folder() / ("local" if text == "0" else f"local-{text}"))
