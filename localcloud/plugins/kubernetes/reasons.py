"""Why a workload's pods are not ready, in the words of the scheduler, the quota, the image pull and the volumes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Object = dict[str, Any]
Objects = Callable[[str, str, Mapping[str, str]], list[Object]]
"""Returns the objects of a plural kind in a namespace that `labelSelector` or `fieldSelector` select."""

PATHS = {"replicasets": "/apis/apps/v1"}  # of the API groups; the other kinds are in the core group
OWN_KINDS = ("replicasets", "pods", "persistentvolumeclaims")


def path_of(kind: str, namespace: str) -> str:
    """Return the path of the API at which the objects of a kind are."""
    return f"{PATHS.get(kind, '/api/v1')}/namespaces/{namespace}/{kind}"


def _pod_states(pod: Object) -> list[str]:
    """Return the reasons in a pod's status for which it is not ready."""
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    reasons = [
        f"pod {name}: {condition.get('message')}"
        for condition in status.get("conditions") or []
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state, last_state = container.get("state") or {}, container.get("lastState") or {}
        waiting, last = state.get("waiting"), last_state.get("terminated")
        what = f"pod {name}, container {container['name']}"
        if waiting:
            reasons.append(f"{what}: {waiting['reason']} {waiting.get('message', '')}")
        if last:
            reasons.append(
                f"{what}: exit code {last.get('exitCode')} {last.get('reason', '')} {last.get('message', '')}"
            )
    return reasons


def _states(kind: str, one: Object) -> list[str]:
    if kind == "pods":
        return _pod_states(one)
    pending = kind == "persistentvolumeclaims" and one.get("status", {}).get("phase") == "Pending"
    return [f"claim {one['metadata']['name']} is Pending"] if pending else []


def _events(events: Iterable[Object], names: set[str]) -> list[str]:
    """Return the warnings about objects of these names."""
    warnings = [event for event in events if event["involvedObject"].get("name") in names]
    return [f"{event.get('reason')}: {event.get('message')}" for event in warnings]


def reasons(objects: Objects, live: Object) -> list[str]:
    """Return the reasons, each once, for which a workload is not ready.

    They come from its events, its pods and claims, and their events.
    """
    selector = live.get("spec", {}).get("selector", {}).get("matchLabels")
    if not selector:
        return []
    namespace = live["metadata"]["namespace"]
    labels = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())}
    names, states = {live["metadata"]["name"]}, list[str]()
    for kind in OWN_KINDS:
        for one in objects(kind, namespace, labels):
            names.add(one["metadata"]["name"])
            states += _states(kind, one)
    warnings = _events(objects("events", namespace, {"fieldSelector": "type=Warning"}), names)
    return list(dict.fromkeys(reason.strip() for reason in [*states, *warnings]))
