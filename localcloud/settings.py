"""Where the embedded cloud lives on this machine: folders, addresses and ports.

A machine can hold several embedded clouds, each in a slot of its own; the tests
use another slot than the user. Everything that must differ derives from the slot.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import LocalCloudError
from scripts.folders import state_folder

PREFIX = "opst"  # of the names of nodes, their interfaces and cgroups
REGION = "us-west-2"
STS_HOST = f"sts.{REGION}.amazonaws.com"
DOMAIN = "opstrace.localhost"  # names under localhost reach this machine alone (RFC 6761)
SLOTS = 10
HTTP_PORT = 5000  # of the AWS API
HTTPS_PORT = 443  # of the AWS API too: Cortex asks STS at this port and no other


@dataclass(frozen=True)
class Borrowed:
    """A cluster that the user named, in place of the node: not ours to start, to change or to end.

    `kubeconfig` is one file or several, as the variable KUBECONFIG has them. `address` is the
    one of this machine at which the cluster's pods reach it; `node_addresses` are its nodes' own.
    """

    context: str
    kubeconfig: str
    server: str
    oidc_issuer: str
    node_addresses: list[str]
    address: str


@dataclass(frozen=True)
class Settings:
    """The fixed facts of one embedded cloud. `slot` is 0 to 9; without `borrowed` its cluster is the node."""

    slot: int
    home: Path
    borrowed: Borrowed | None = None

    @classmethod
    def of(cls, slot: int, home: Path) -> "Settings":
        """Return the settings of the cloud in `home`, with the cluster that it remembers."""
        here = cls(slot, home)
        if not here.borrowed_file.exists():
            return here
        return cls(slot, home, Borrowed(**json.loads(here.borrowed_file.read_text())))

    @property
    def name(self) -> str:
        """Name of the node, of its network interface and of its cgroup."""
        return f"{PREFIX}{self.slot}"

    @property
    def network(self) -> str:
        return f"10.{243 - self.slot}"

    @property
    def host_address(self) -> str:
        """Where the node reaches this machine."""
        return f"{self.network}.0.1"

    @property
    def node_address(self) -> str:
        return f"{self.network}.0.10"

    @property
    def node_addresses(self) -> list[str]:
        """Where the load balancer finds the gateway."""
        return self.borrowed.node_addresses if self.borrowed else [self.node_address]

    @property
    def aws_address(self) -> str:
        """Where pods, this machine and the engine reach AWS."""
        return self.borrowed.address if self.borrowed else self.node_address

    @property
    def pod_cidr(self) -> str:
        return f"{self.network}.128.0/24"

    @property
    def service_cidr(self) -> str:
        return "10.96.0.0/16"

    @property
    def https_port(self) -> int:
        """Port on 127.0.0.1 at which the load balancer listens."""
        return 8443 + self.slot

    @property
    def dns_port(self) -> int:
        """Port on 127.0.0.1 that answers for the Route53 zones."""
        return 8053 + self.slot

    @property
    def aws_endpoint(self) -> str:
        return f"http://{self.aws_address}:{HTTP_PORT}"

    @property
    def s3_endpoint(self) -> str:
        """S3 over TLS: the buckets' policies refuse whoever comes without."""
        return f"https://{self.aws_address}"

    @property
    def kubernetes_endpoint(self) -> str:
        return self.borrowed.server if self.borrowed else f"https://{self.node_address}:6443"

    @property
    def oidc_issuer(self) -> str:
        """Issuer of the cluster's service account tokens; the node's is named as EKS names its own."""
        if self.borrowed:
            return self.borrowed.oidc_issuer
        return f"https://oidc.eks.{REGION}.amazonaws.com/id/LOCAL{self.slot}"

    @property
    def context(self) -> str:
        """Name of the cluster in `kubeconfigs`."""
        return self.borrowed.context if self.borrowed else self.home.name

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def kubeconfigs(self) -> str:
        """What KUBECONFIG must be: with a cluster of the user's, our file only says which context is meant."""
        return f"{self.kubeconfig}:{self.borrowed.kubeconfig}" if self.borrowed else str(self.kubeconfig)

    @property
    def borrowed_file(self) -> Path:
        """Where the cluster that the user named is remembered."""
        return self.home / "cluster.json"

    @property
    def ca(self) -> Path:
        """The certificate that clients of the load balancer must trust."""
        return self.home / "pki" / "ca.pem"

    @property
    def pki(self) -> Path:
        return self.home / "pki"

    @property
    def node(self) -> Path:
        """What node and AWS keep on disk; emptied whenever they start."""
        return self.home / "node"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def pulumi(self) -> Path:
        """The engine's home, its state and its passphrase: what outlives the node."""
        return self.home / "pulumi"

    @property
    def pid_file(self) -> Path:
        return self.home / "pid"


def settings() -> Settings:
    """Return the settings of the slot that `OPSTRACE_LOCAL_SLOT` names, 0 unless set."""
    text = os.environ.get("OPSTRACE_LOCAL_SLOT", "0")
    if text not in [str(slot) for slot in range(SLOTS)]:
        raise LocalCloudError(f"OPSTRACE_LOCAL_SLOT is {text!r}, but must be a number from 0 to {SLOTS - 1}")
    return Settings.of(int(text), state_folder() / ("local" if text == "0" else f"local-{text}"))
