"""When a Kubernetes object is ready, by its kind, and why it is not.

The rules are those of the official plugin (pulumi.com, 'Kubernetes await logic') for the kinds in use. An object of another
kind is ready when it exists.
"""

from collections.abc import Callable, Mapping
from typing import Any

from components.core.tags import SKIP_AWAIT_ANNOTATION
from localcloud.plugins.kubernetes.api import KubernetesApi
from localcloud.plugins.kubernetes.endpoints import ServiceRule
from localcloud.plugins.kubernetes.reasons import path_of, reasons
from localcloud.plugins.provider import DEFAULT_TIMEOUT_SECONDS, until

Object = dict[str, Any]
Rule = Callable[[Object], str | None]
"""Returns what an object still lacks, None if it is ready."""

TIMEOUT_ANNOTATION = "pulumi.com/timeoutSeconds"


def _is_observed(live: Object) -> bool:
    status = live.get("status", {})
    return bool(status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0))


def _deployment(live: Object) -> str | None:
    status, replicas = live.get("status", {}), live["spec"].get("replicas", 1)
    ready = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    if not _is_observed(live) or ready < replicas or status.get("replicas", 0) > replicas:
        return f"{ready} of {replicas} pods are new and available"
    return None


def _stateful_set(live: Object) -> str | None:
    status, replicas = live.get("status", {}), live["spec"].get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    # The ready pods, those that exist, and those of the current revision: none is left of another size or revision.
    counts = {ready, status.get("replicas", 0), status.get("currentReplicas", 0)}
    is_current = status.get("currentRevision") == status.get("updateRevision")
    if not _is_observed(live) or counts != {replicas} or not is_current:
        return f"{ready} of {replicas} pods are new and ready"
    return None


def _rule(api: KubernetesApi, kind: str) -> Rule | None:
    rules: dict[str, Rule] = {"Deployment": _deployment, "Service": ServiceRule(api), "StatefulSet": _stateful_set}
    return rules.get(kind)


def await_ready(api: KubernetesApi, path: str, custom_timeout: float = 0) -> tuple[Object, list[str]]:
    """Wait until the object at `path` is ready; return it, and the reasons if it is not ready in time.

    The time in seconds is `custom_timeout`, or that of the object's annotation, or the default. Another annotation skips
    the wait.
    """
    live = api.get(path) or {}
    annotations = live.get("metadata", {}).get("annotations", {})
    rule = _rule(api, live.get("kind", ""))
    if rule is None or annotations.get(SKIP_AWAIT_ANNOTATION) == "true":
        return live, []
    missing: str | None = None

    def is_done() -> bool:
        nonlocal live, missing
        if missing:  # from the second call on
            live = api.get(path) or live
        missing = rule(live)
        return not missing

    def objects(kind: str, namespace: str, query: Mapping[str, str]) -> list[Object]:
        return api.list(path_of(kind, namespace), **query)

    until(is_done, custom_timeout or float(annotations.get(TIMEOUT_ANNOTATION, DEFAULT_TIMEOUT_SECONDS)))
    if missing:
        return live, [f"not ready in time: {missing}", *reasons(objects, live)]
    return live, []


def await_gone(api: KubernetesApi, path: str, uid: str, timeout: float) -> str | None:
    """Wait until the object with `uid` is gone from `path`; return None.

    After `timeout` seconds return the reasons why it still exists.
    """
    present: Object = {}

    def is_gone() -> bool:
        nonlocal present
        present = api.get(path) or {}
        return not present or present["metadata"]["uid"] != uid

    if until(is_gone, timeout):
        return None
    finalizers = ", ".join(present["metadata"].get("finalizers", [])) or "none"
    conditions = [entry.get("message", "") for entry in present.get("status", {}).get("conditions", [])]
    return f"still there after {timeout:.0f} s; finalizers: {finalizers}. {' '.join(conditions)}".strip()
