"""Kubernetes labels of workloads and their objects."""

from components.core.tags import COMPONENT_LABEL, INSTANCE_LABEL, MANAGED_BY_LABEL, NAME_LABEL, PART_OF_LABEL


def labels(name: str, component: str, instance: str) -> dict[str, str]:
    """Return the recommended labels (kubernetes.io, 'Recommended Labels') of a workload and its objects."""
    return {
        NAME_LABEL: name,
        COMPONENT_LABEL: component,
        INSTANCE_LABEL: instance,
        PART_OF_LABEL: "opstrace",
        MANAGED_BY_LABEL: "pulumi",
    }


def selector(name: str, instance: str) -> dict[str, str]:
    """Return the labels by which a workload selects its pods. Kubernetes lets no update change them."""
    return {NAME_LABEL: name, INSTANCE_LABEL: instance}
