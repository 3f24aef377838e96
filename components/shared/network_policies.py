"""Parts of network policies: who reaches a tenant's pods, and what pods reach."""

from typing import Any

from components.core.names import ALERTMANAGER, COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE, PORTS
from components.core.tags import NAME_LABEL

# Of EC2 ('Instance metadata'): it hands out the credentials of the node's role. Pods need none of them: theirs come from
# STS by web identity. The agent of EKS Pod Identity has another address, 169.254.170.23.
METADATA = "169.254.169.254/32"
NOT_ALERTMANAGER: dict[str, Any] = {
    "matchExpressions": [{"key": NAME_LABEL, "operator": "NotIn", "values": [ALERTMANAGER]}]
}
"""Selects all pods but the Alertmanager's, whose configuration chooses the address and the headers of a request."""

COLLECTORS: dict[str, Any] = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": COLLECTORS_NAMESPACE}}
}
"""The collectors as a peer. No other namespace can have their name."""


def ingress_of_tenant() -> list[dict[str, Any]]:
    """Return the rules that admit the gateway and the tenant's own pods, except its Alertmanager."""
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": GATEWAY_NAMESPACE}}}
    return [{"from": [gateway, {"podSelector": NOT_ALERTMANAGER}]}]


def ingress_of_collectors() -> list[dict[str, Any]]:
    """Return the rule that admits the collectors to the APIs of the system tenant."""
    return [{"from": [COLLECTORS], "ports": [{"protocol": "TCP", "port": port} for port in PORTS.values()]}]


def egress_without_metadata() -> list[dict[str, Any]]:
    """Return the rules that open every IPv4 address except that of the node's metadata.

    IPv6 stays closed, because no pod needs it. In a cluster without IPv6, the VPC CNI reads exceptions from an IPv6 range
    as IPv4 ones.
    """
    return [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [METADATA]}}]}]
