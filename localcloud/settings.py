"""Where the embedded cloud lives on this machine: folders, addresses and ports.

A machine can hold several embedded clouds, each in a slot of its own; the tests
use another slot than the user. Everything that must differ derives from the slot.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from localcloud.errors import LocalCloudError

REGION = "us-west-2"
STS_HOST = f"sts.{REGION}.amazonaws.com"
DOMAIN = "opstrace.localhost"  # names under localhost reach this machine alone (RFC 6761)
SLOTS = 10


@dataclass(frozen=True)
class Settings:
    """The fixed facts of one embedded cloud. `slot` is 0 to 9."""

    slot: int
    home: Path

    @property
    def name(self) -> str:
        """Name of the node, of its network interface and of its cgroup."""
        return f"opst{self.slot}"

    @property
    def network(self) -> str:
        return f"10.{243 - self.slot}"

    @property
    def vpc_cidr(self) -> str:
        return f"{self.network}.0.0/16"

    @property
    def subnet_cidr(self) -> str:
        return f"{self.network}.0.0/24"

    @property
    def host_address(self) -> str:
        """Where the node reaches this machine; in a VPC the router's address."""
        return f"{self.network}.0.1"

    @property
    def node_address(self) -> str:
        return f"{self.network}.0.10"

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
        return f"http://{self.node_address}:5000"

    @property
    def s3_endpoint(self) -> str:
        """S3 over TLS: the buckets' policies refuse whoever comes without."""
        return f"https://{self.node_address}"

    @property
    def kubernetes_endpoint(self) -> str:
        return f"https://{self.node_address}:6443"

    @property
    def oidc_issuer(self) -> str:
        """Issuer of the cluster's service account tokens, named as EKS names its own."""
        return f"https://oidc.eks.{REGION}.amazonaws.com/id/LOCAL{self.slot}"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def ca(self) -> Path:
        """The certificate that clients of the load balancer must trust."""
        return self.home / "pki" / "ca.pem"

    @property
    def pki(self) -> Path:
        return self.home / "pki"

    @property
    def node(self) -> Path:
        """What the node keeps on disk; emptied whenever the node starts."""
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
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return Settings(int(text), state / "opstrace" / ("local" if text == "0" else f"local-{text}"))
