"""Checks that the cluster of the context is the one that the stack file describes, and that an instance can run in it."""

from scripts.clients.kubernetes import Cluster
from scripts.clients.mismatches import family_mismatch, issuer_mismatch

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
    if mismatch := family_mismatch(api_addresses(cluster), cluster.where):
        raise mismatch.error()


def api_addresses(cluster: Cluster) -> list[str]:
    """Return the addresses of the API server inside of the cluster, none where the cluster does not tell them."""
    spec = (cluster.get(*API_SERVICE) or {}).get("spec", {})
    return [address for address in spec.get("clusterIPs") or [spec.get("clusterIP")] if address]
