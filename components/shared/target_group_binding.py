"""The TargetGroupBinding, by which a controller registers the gateway's pods as targets of the load balancer."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.core.resource_names import KUBERNETES_PREFIX
from components.shared.kubernetes_object import KubernetesObject
from components.shared.options import child, manifest


@dataclass(frozen=True, kw_only=True)
class Binding:
    """The API of the controller, and the target group, known once a listener forwards to it."""

    api_version: str
    target_group_arn: pulumi.Input[str]

    @property
    def namespace_labels(self) -> dict[str, str]:
        """The labels of a namespace by which the controller holds back pods until the load balancer found them healthy.

        That takes minutes. Without them, a rollout would end old pods before new ones get requests.
        """
        return {f"{self.api_version.partition('/')[0]}/pod-readiness-gate-inject": "enabled"}


def declare_binding(
    name: str,
    binding: Binding,
    metadata: Mapping[str, object],
    service: KubernetesObject,
    parent: pulumi.Resource,
) -> pulumi.Resource:
    """Declare the binding of a Service's port `http`. Only pods that are created after it are held back."""
    return KubernetesObject(
        f"{KUBERNETES_PREFIX}{binding.api_version}:TargetGroupBinding",
        f"{name}-target-group-binding",
        metadata=manifest(**metadata),
        spec={
            "serviceRef": {"name": service.physical_name, "port": "http"},
            "targetGroupARN": binding.target_group_arn,
            "targetType": "ip",
        },
        opts=child(parent, service),
    )
