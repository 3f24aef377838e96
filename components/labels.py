"""The labels of workloads and their parts."""

NAME_LABEL = "app.kubernetes.io/name"


def labels(name: str, component: str, instance: str) -> dict[str, str]:
    """Return the recommended labels (kubernetes.io, 'Recommended Labels') of a workload and its parts."""
    return {
        NAME_LABEL: name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/part-of": "opstrace",
        "app.kubernetes.io/managed-by": "pulumi",
    }


def selector(name: str, instance: str) -> dict[str, str]:
    """Return the labels by which a workload finds its pods; they can never change."""
    return {NAME_LABEL: name, "app.kubernetes.io/instance": instance}
