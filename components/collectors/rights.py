"""What the collectors may read in the cluster: nothing of Secrets and ConfigMaps, and they may change nothing."""

from typing import Any

from components.collectors.settings import CLUSTER, NODE

READ = ["get", "list", "watch"]


def _rule(group: str, *resources: str, verbs: list[str] = READ) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs}


RULES: dict[str, list[dict[str, Any]]] = {
    NODE: [
        _rule("", "pods"),
        _rule("", "nodes/metrics", verbs=["get"]),  # of the kubelet; `nodes/proxy` would also open `exec`
    ],
    CLUSTER: [
        _rule("", "namespaces", "nodes", "pods", "replicationcontrollers", "resourcequotas", "services"),
        _rule("apps", "daemonsets", "deployments", "replicasets", "statefulsets"),
        _rule("batch", "cronjobs", "jobs"),
        _rule("autoscaling", "horizontalpodautoscalers"),
        _rule("discovery.k8s.io", "endpointslices"),
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ],
}
"""The rules of each collector's cluster role."""
