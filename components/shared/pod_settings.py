"""What a platform wants of all pods of an instance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.core.images import PUBLIC, ImageSource


@dataclass(frozen=True, kw_only=True)
class PodSettings:
    """What the platform wants of all pods.

    Attributes:
        images: The source of their images.
        tolerations: The taints that they tolerate, as in a pod of Kubernetes.
        node_selector: The labels that their nodes have.
        priority_class: Their priority class; None for that of the program or the cluster.
        service_account_annotations: Annotations of their service accounts.
    """

    images: ImageSource = PUBLIC
    tolerations: Sequence[Mapping[str, Any]] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    priority_class: str | None = None
    service_account_annotations: Mapping[str, str] = field(default_factory=dict)

    def applied(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return the spec of a pod with what the platform wants in it."""
        wanted: dict[str, Any] = {
            "imagePullSecrets": [{"name": name} for name in self.images.pull_secrets],
            "tolerations": [dict(toleration) for toleration in self.tolerations],
            "nodeSelector": dict(self.node_selector),
            "priorityClassName": self.priority_class,
        }
        return {**spec, **{name: value for name, value in wanted.items() if value}}

    def annotations(self) -> dict[str, Any]:
        """Return the part of a service account's metadata with its annotations; empty without any."""
        annotations = dict(self.service_account_annotations)
        return {"annotations": annotations} if annotations else {}


PLAIN_PODS = PodSettings()
