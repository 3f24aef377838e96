"""Whether the gateway's pods are ready, and why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from components.core.names import GATEWAY_NAMESPACE
from localcloud.plugins.kubernetes.reasons import reasons
from scripts.tenants.readiness import READY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.clients.kubernetes import Cluster

GATEWAY = "gateway"  # the Deployment


@dataclass(frozen=True)
class Readiness:
    """Whether pods are ready.

    Attributes:
        state: `READY`, or what is not; None if no cluster answers.
        reasons: Why not, in the cluster's own words.
    """

    state: str | None = None
    reasons: list[str] = field(default_factory=list)

    @property
    def is_unready(self) -> bool:
        """Whether pods are known not to be ready."""
        return self.state not in (READY, None)

    def in_words(self) -> str:
        """Return state and reasons as one text."""
        return "; ".join([str(self.state), *self.reasons])


def gateway_readiness(cluster: Cluster) -> Readiness:
    """Return whether the gateway's pods are ready; raises `UserError` as `Cluster.get` does."""
    deployment = cluster.get("apps/v1", "Deployment", GATEWAY, GATEWAY_NAMESPACE)
    if deployment is None:
        return Readiness("the Deployment is missing")
    if unready := _unready(deployment):
        return Readiness(unready, reasons(cluster.objects, deployment))
    return Readiness(READY)


def _unready(deployment: Mapping[str, Any]) -> str:
    """Return what the Deployment waits for; '' for nothing."""
    status, expected = deployment.get("status", {}), deployment["spec"]["replicas"]
    ready = status.get("readyReplicas") or 0
    if ready < expected:
        return f"{ready} of {expected} pods ready"
    # The old pods of a rollout serve until a new one is ready, so they hide that the new one cannot start.
    if waiting := status.get("unavailableReplicas"):
        return f"{ready} of {expected} pods ready, and {waiting} of a rollout not yet"
    return ""
