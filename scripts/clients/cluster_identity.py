"""Checks that the cluster of the context is the one that the stack file describes, and that an instance can run in it."""

import ipaddress

from components.core.errors import UserError
from scripts.clients.kubernetes import Cluster
from scripts.clients.mismatches import issuer_mismatch

API_SERVICE = (
    "v1",
    "Service",
    "kubernetes",
    "default",
)  # each cluster has it; its address is of the cluster's first family


def require_described(cluster: Cluster) -> None:
    """Raise `UserError` if the cluster has another token issuer than the stack file names, or only IPv6 addresses."""
    _require_issuer(cluster)
    _require_ipv4(cluster)


def _require_issuer(cluster: Cluster) -> None:
    """Raise `UserError` if AWS would not trust the tokens of this cluster's pods, or if it is another cluster."""
    if mismatch := issuer_mismatch(cluster.issuer(), cluster.config.cluster.oidc_issuer, cluster.where):
        raise mismatch.error()


def _require_ipv4(cluster: Cluster) -> None:
    spec = (cluster.get(*API_SERVICE) or {}).get("spec", {})
    addresses = [address for address in spec.get("clusterIPs") or [spec.get("clusterIP")] if address]
    if addresses and not any(ipaddress.ip_address(address).version == 4 for address in addresses):  # noqa: PLR2004 the version of IP
        raise UserError(
            f"the cluster of {cluster.where} has IPv6 addresses only (its API server is {', '.join(addresses)}), "
            "but gateway and back ends listen on IPv4; use a cluster with IPv4 or both families (of EKS: `ipFamily: ipv4`, which "
            "only a new cluster can get)"
        )
