"""What keeps an instance from answering: certificates, the delegation, targets of the load balancer, pods."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from components.core.errors import UserError
from components.core.names import APIS
from components.core.resource_names import CERTIFICATE_TYPE, TARGET_GROUP_TYPE, ZONE_TYPE
from scripts.clients.aws import is_code
from scripts.instances.gateway import gateway_readiness
from scripts.tenants.readiness import READY, reasons_of, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from scripts.clients.aws import Clients
    from scripts.clients.kubernetes import Cluster

LOOPBACK = ".localhost"  # names below it need no delegation
ISSUED, HEALTHY = "ISSUED", "healthy"


@dataclass(frozen=True)
class Parts:
    """The parts of an instance that must be ready before it answers.

    Attributes:
        instance: Its name.
        domain: The domain of its hosted zone.
        host: A host name of one of its tenants.
        tenants: Its tenants.
        resources: The resources in its state.
    """

    instance: str
    domain: str
    host: str
    tenants: Sequence[str]
    resources: Iterable[Mapping[str, Any]]

    def outputs(self, resource_type: str) -> Iterator[Mapping[str, Any]]:
        """Return the outputs of the resources of a type."""
        return (entry.get("outputs", {}) for entry in self.resources if entry["type"] == resource_type)


def missing(parts: Parts, aws: Clients, cluster: Cluster) -> list[str]:
    """Return what is not ready yet, a line each.

    Raises `UserError` where a part is gone that only an update creates again, so that waiting would be in vain.
    """
    return [
        *_asked("whether the certificates are issued", lambda: _certificates(parts, aws)),
        *_delegation(parts),
        *_asked("whether the targets of the load balancer are healthy", lambda: _targets(parts, aws)),
        *_pods(parts, cluster),
    ]


def _asked(what: str, request: Callable[[], list[str]]) -> list[str]:
    """Return the answer of AWS, or that it refused the request."""
    try:
        return request()
    except (BotoCoreError, ClientError) as error:
        return [f"{what} is unknown: {error}"]


def _certificates(parts: Parts, aws: Clients) -> list[str]:
    lines = []
    for outputs in parts.outputs(CERTIFICATE_TYPE):
        try:
            certificate = aws["acm"].describe_certificate(CertificateArn=outputs["arn"])["Certificate"]
        except ClientError as error:
            if is_code(error, "ResourceNotFoundException"):
                raise _gone(parts, f"certificate of {outputs.get('domainName')}") from error
            raise
        if certificate["Status"] != ISSUED:
            reason = certificate.get("FailureReason")
            lines.append(
                f"the certificate of {certificate['DomainName']} is {certificate['Status']}{f' ({reason})' if reason else ''}"
            )
    return lines


def _delegation(parts: Parts) -> list[str]:
    if parts.host.endswith(LOOPBACK):
        return []
    try:
        socket.getaddrinfo(parts.host, None)
    except OSError:
        servers = [server for outputs in parts.outputs(ZONE_TYPE) for server in outputs.get("nameServers") or []]
        parent = parts.domain.partition(".")[2]
        return [
            f"{parts.host} does not resolve on this machine: the zone of {parent} must have an NS record {parts.domain} "
            f"with {', '.join(servers) or 'the name servers of `pulumi stack output nameServers`'}. A resolver may keep an "
            "earlier negative answer for up to 15 minutes"
        ]
    return []


def _targets(parts: Parts, aws: Clients) -> list[str]:
    lines = []
    for outputs in parts.outputs(TARGET_GROUP_TYPE):
        try:
            answer = aws["elbv2"].describe_target_health(TargetGroupArn=outputs["arn"])
        except ClientError as error:
            if is_code(error, "TargetGroupNotFound"):
                raise _gone(parts, f"target group {outputs.get('name')}") from error
            raise
        healths = [target["TargetHealth"] for target in answer["TargetHealthDescriptions"]]
        lines += targets_in_words(healths, of_pods=outputs.get("targetType") == "ip")
    return lines


def targets_in_words(healths: Sequence[Mapping[str, str]], *, of_pods: bool) -> list[str]:
    """Return how many targets are healthy and why the others are not; nothing where all are."""
    if not healths:
        cause = (
            "no controller has registered the gateway's pods; `kubectl describe targetgroupbinding -n opstrace` tells why"
            if of_pods
            else "its autoscaling groups have no instance in service"
        )
        return [f"the load balancer has no targets: {cause}"]
    others = Counter(_health_in_words(health) for health in healths if health["State"] != HEALTHY)
    if not others:
        return []
    healthy = len(healths) - others.total()
    listed = ", ".join(f"{count} {words}" for words, count in others.items())
    return [f"targets of the load balancer: {healthy} of {len(healths)} healthy; {listed}"]


def _health_in_words(health: Mapping[str, str]) -> str:
    reason = ": ".join(part for part in (health.get("Reason"), health.get("Description")) if part)
    return f"{health['State']}{f' ({reason})' if reason else ''}"


def _pods(parts: Parts, cluster: Cluster) -> list[str]:
    try:
        gateway = gateway_readiness(cluster)
        lines = [f"gateway: {gateway.in_words()}"] if gateway.is_unready else []
        for tenant in parts.tenants:
            state = state_of(cluster, tenant, APIS)
            if state != READY:
                lines.append(f"tenant {tenant}: {'; '.join([state, *reasons_of(cluster, tenant, APIS)])}")
    except UserError as error:
        return [f"whether the pods are ready is unknown: {error}"]
    return lines


def _gone(parts: Parts, what: str) -> UserError:
    return UserError(
        f"the {what} of the instance {parts.instance} does not exist any more, so waiting would be in vain. "
        f"`pulumi up --refresh --stack {parts.instance}` creates what is gone"
    )
