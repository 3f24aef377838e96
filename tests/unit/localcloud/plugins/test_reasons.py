"""Why a workload is not ready: the words of each part of the cluster that can keep its pods from running."""

from collections.abc import Mapping
from typing import Any

import pytest

from localcloud.plugins.kubernetes.reasons import path_of, reasons

WORKLOAD = {
    "metadata": {"name": "loki", "namespace": "ops-tenant"},
    "spec": {"selector": {"matchLabels": {"app": "loki"}}},
}


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "loki-0"}, "status": status}


def event(about: str, reason: str, message: str) -> dict[str, Any]:
    return {"involvedObject": {"name": about}, "reason": reason, "message": message}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return pod(containerStatuses=[{"name": "loki", "state": {"waiting": {"reason": reason, "message": message}}}])


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient cpu."}
CLAIM = {"metadata": {"name": "data-loki-0"}, "status": {"phase": "Pending"}}


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        (
            {"events": [event("loki", "FailedCreate", "pods is forbidden: exceeded quota: q")]},
            ["FailedCreate: pods is forbidden: exceeded quota: q"],
        ),
        (
            {
                "replicasets": [{"metadata": {"name": "loki-5d"}}],
                "events": [event("loki-5d", "FailedCreate", "exceeded quota: q")],
            },
            ["FailedCreate: exceeded quota: q"],
        ),
        (
            {"pods": [pod(conditions=[UNSCHEDULED])]},
            ["pod loki-0: 0/3 nodes are available: 3 Insufficient cpu."],
        ),
        (
            {"pods": [waiting("ImagePullBackOff", "Back-off pulling image x")]},
            ["pod loki-0, container loki: ImagePullBackOff Back-off pulling image x"],
        ),
        (
            {
                "persistentvolumeclaims": [CLAIM],
                "events": [event("data-loki-0", "ProvisioningFailed", "no storage class gp3")],
            },
            ["claim data-loki-0 is Pending", "ProvisioningFailed: no storage class gp3"],
        ),
        ({"pods": [pod(phase="Running")], "events": [event("cortex-0", "BackOff", "another's")]}, []),
    ],
    ids=["quota", "quota of a Deployment", "scheduler", "image", "claim", "another workload"],
)
def test_the_cluster_s_own_words_are_returned(objects: dict[str, list[dict[str, Any]]], told: list[str]) -> None:
    def listed(kind: str, namespace: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        assert namespace == "ops-tenant"
        assert query == ({"fieldSelector": "type=Warning"} if kind == "events" else {"labelSelector": "app=loki"})
        return objects.get(kind, [])

    assert reasons(listed, WORKLOAD) == told


def test_a_kind_has_the_path_of_its_group() -> None:
    assert path_of("pods", "n") == "/api/v1/namespaces/n/pods"
    assert path_of("replicasets", "n") == "/apis/apps/v1/namespaces/n/replicasets"
