"""When a Kubernetes object counts as done, per kind, and why it is not yet.

The rules are those that the official plugin documents (pulumi.com, 'Kubernetes
await logic'), for the kinds in use; a kind that is not listed is done when it is there.
"""

import time
from collections.abc import Callable
from typing import Any

from localcloud.plugins.kubernetes_api import KubernetesApi
from localcloud.plugins.provider import cancelled

Object = dict[str, Any]
POLL_SECONDS = 0.5
SKIP_ANNOTATION = "pulumi.com/skipAwait"
TIMEOUT_ANNOTATION = "pulumi.com/timeoutSeconds"


def _seen(found: Object) -> bool:
    status = found.get("status", {})
    return bool(status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0))


def _deployment(found: Object) -> str | None:
    status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
    ready = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    if not _seen(found) or ready < wanted or status.get("replicas", 0) > wanted:
        return f"{ready} of {wanted} pods are new and available"
    return None


def _stateful_set(found: Object) -> str | None:
    status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    current = status.get("currentRevision") == status.get("updateRevision")
    if not _seen(found) or ready < wanted or not current:
        return f"{ready} of {wanted} pods are new and ready"
    return None


RULES: dict[str, Callable[[Object], str | None]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
}


def _pod_states(pod: Object) -> list[str]:
    """Return what keeps one pod from being ready, as far as its status says."""
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    reasons = [
        f"pod {name}: {condition.get('message')}"
        for condition in status.get("conditions", [])
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting, last = container["state"].get("waiting"), container.get("lastState", {}).get("terminated")
        what = f"pod {name}, container {container['name']}"
        if waiting:
            reasons.append(f"{what}: {waiting['reason']} {waiting.get('message', '')}")
        if last:
            reasons.append(
                f"{what}: exit code {last.get('exitCode')} {last.get('reason', '')} {last.get('message', '')}"
            )
    return reasons


def _warnings(api: KubernetesApi, namespace: str, name: str) -> list[str]:
    """Return the warnings among the events of one object."""
    field = f"involvedObject.name={name},type=Warning"
    events = api.list(f"/api/v1/namespaces/{namespace}/events", fieldSelector=field)
    return [f"{event['reason']}: {event['message']}" for event in events]


def _pod_reasons(api: KubernetesApi, found: Object) -> list[str]:
    """Return what the object, its pods and their events say of why it is not ready, each once."""
    selector = found.get("spec", {}).get("selector", {}).get("matchLabels")
    if not selector:
        return []
    namespace = found["metadata"]["namespace"]
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    reasons = _warnings(api, namespace, found["metadata"]["name"])
    for pod in api.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=labels):
        reasons += _pod_states(pod) + _warnings(api, namespace, pod["metadata"]["name"])
    return list(dict.fromkeys(reason.strip() for reason in reasons))


def await_ready(api: KubernetesApi, path: str, timeout: float) -> tuple[Object, list[str]]:
    """Wait until the object at `path` is done; return it, and why it is not when time ran out.

    `timeout` is in seconds; the object's own annotations skip the wait or set another time.
    """
    found = api.get(path) or {}
    annotations = found.get("metadata", {}).get("annotations", {})
    rule = RULES.get(found.get("kind", ""))
    if rule is None or annotations.get(SKIP_ANNOTATION) == "true":
        return found, []
    deadline = time.monotonic() + float(annotations.get(TIMEOUT_ANNOTATION, timeout))
    while (missing := rule(found)) and time.monotonic() < deadline and not cancelled.is_set():
        time.sleep(POLL_SECONDS)
        found = api.get(path) or found
    if missing:
        return found, [f"not ready in time: {missing}", *_pod_reasons(api, found)]
    return found, []


def await_gone(api: KubernetesApi, path: str, uid: str, timeout: float) -> str | None:
    """Wait until the object with `uid` is gone from `path`; return why not when time ran out."""
    deadline = time.monotonic() + timeout
    while (found := api.get(path)) and found["metadata"]["uid"] == uid:
        if time.monotonic() > deadline or cancelled.is_set():
            left = ", ".join(found["metadata"].get("finalizers", [])) or "none"
            conditions = [entry.get("message", "") for entry in found.get("status", {}).get("conditions", [])]
            return f"still there after {timeout:.0f} s; finalizers: {left}. {' '.join(conditions)}".strip()
        time.sleep(POLL_SECONDS)
    return None
