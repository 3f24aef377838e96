"""Objects of Kubernetes that a test makes in a cluster."""

import json
from collections.abc import Mapping
from typing import Any

from tests.support.shell import run


def apply(environment: dict[str, str], *objects: Mapping[str, Any]) -> None:
    """Create or change objects in the cluster of an environment."""
    whole = {"apiVersion": "v1", "kind": "List", "items": objects}
    run("kubectl", "apply", "-f", "-", env=environment, typed=json.dumps(whole))


def pod(namespace: str, name: str, spec: Mapping[str, Any], **metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest of a pod, with further parts of its metadata, such as `labels`."""
    whole = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": whole, "spec": spec}


def deployment(namespace: str, name: str, spec: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest of a Deployment with one pod."""
    return _of_pods("Deployment", namespace, name, spec, labels={"app": name}, annotations=annotations)


def replica_set(namespace: str, name: str, spec: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest of a ReplicaSet with one pod, which has these labels."""
    return _of_pods("ReplicaSet", namespace, name, spec, labels=labels)


def _of_pods(
    kind: str, namespace: str, name: str, spec: Mapping[str, Any], **metadata: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": metadata["labels"]},
            "template": {"metadata": metadata, "spec": spec},
        },
    }


def new_namespace(name: str) -> dict[str, Any]:
    """Return the manifest of a namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
