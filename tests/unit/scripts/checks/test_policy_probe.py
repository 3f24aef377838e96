"""What the probe of network policies concludes from what it sees; tests/e2e/test_policies.py runs it on a cluster."""

from typing import Any

import pytest

from components.core.errors import UserError
from components.core.tags import NAME_LABEL
from scripts.checks import policy_probe
from scripts.checks.policy_probe import (
    CLIENT,
    OPEN_PORT,
    SERVER,
    TARGET_HEADER,
    Probe,
    manifests,
    probe_policies,
    verdict,
)

ADDRESS = "10.0.0.2"


class Cluster:
    """A cluster with two pods; `enforces` says whether a policy closes one to the other."""

    def __init__(self, *, enforces: bool, address: str = ADDRESS) -> None:
        self.enforces, self.address = enforces, address
        self.created: list[dict[str, Any]] = []
        self.deleted: list[tuple[str, ...]] = []
        self.silent: list[str] = []
        self.refused = ""

    def create(self, manifest: dict[str, Any]) -> None:
        if manifest["kind"] == self.refused:
            raise UserError("exceeded quota")
        self.created.append(manifest)

    def delete(self, *what: str) -> None:
        self.deleted.append(what)

    def get(self, *_: str) -> dict[str, Any]:
        return {"status": {"podIP": self.address} if self.address else {}}

    def objects(self, kind: str, *_: Any) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {
            "pods": {"metadata": {"name": SERVER}, "status": {"phase": "Pending"}},
            "events": {"message": "no node"},
        }
        return [found[kind]]

    def ask(self, namespace: str, pod: str, port: int, path: str, headers: dict[str, str]) -> str | None:
        is_closed = self.enforces and any(entry["kind"] == "NetworkPolicy" for entry in self.created)
        is_blocked = is_closed and headers.get(TARGET_HEADER) == f"{ADDRESS}:{OPEN_PORT}"
        return None if is_blocked or (is_closed and pod in self.silent) else ""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_probe, "POLL_SECONDS", 0.01)


def probe(cluster: Any, *, declared: bool | None = True) -> Any:
    seconds = {"start_seconds": 0.1, "enforce_seconds": 0.1}
    return probe_policies(Probe(cluster, "image"), declared=declared, **seconds)


@pytest.mark.parametrize(
    ("enforces", "declared", "level"),
    [
        (True, True, "ok"),
        (True, False, "warning"),
        (True, None, "warning"),
        (False, True, "error"),
        (False, None, "error"),
        (False, False, "warning"),
    ],
)
def test_what_the_probe_sees_is_compared_with_the_stack_file(enforces: bool, declared: bool | None, level: str) -> None:
    cluster = Cluster(enforces=enforces)
    found = probe(cluster, declared=declared)
    assert found.level == level
    assert ("any pod of the cluster can read and write" in found.message) == (not enforces)
    assert bool(found.remedy) == (level != "ok")
    namespace = cluster.created[0]["metadata"]["name"]
    assert cluster.deleted == [("v1", "Namespace", namespace)]


@pytest.mark.parametrize("pod", [CLIENT, SERVER])
def test_the_silence_of_a_pod_that_answers_nobody_proves_nothing(pod: str) -> None:
    cluster = Cluster(enforces=True)
    cluster.silent = [pod]
    assert probe(cluster).level == "error"


def test_pods_that_do_not_start_prove_nothing_and_say_why() -> None:
    cluster = Cluster(enforces=True, address="")
    found = probe(cluster)
    assert found.level == "warning" and "not proven" in found.message
    assert "server is Pending; no node" in found.message
    assert cluster.deleted


@pytest.mark.parametrize("kind", ["Pod", "NetworkPolicy"])
def test_nothing_is_left_of_a_probe_that_the_cluster_refuses(kind: str) -> None:
    cluster = Cluster(enforces=True)
    cluster.refused = kind
    with pytest.raises(UserError, match="exceeded quota"):
        probe(cluster)
    assert cluster.deleted == [("v1", "Namespace", cluster.created[0]["metadata"]["name"])]


def test_the_pods_forward_requests_of_their_own_loopback_only_and_end_by_themselves() -> None:
    listeners = policy_probe.envoy_config()["static_resources"]["listeners"]
    forwarding = [
        listener["address"]["socket_address"]["address"]
        for listener in listeners
        if "cluster" in str(listener["filter_chains"])
    ]
    assert forwarding == ["127.0.0.1"]
    _, *pods = manifests("x", "image")
    assert [pod["metadata"]["labels"][NAME_LABEL] for pod in pods] == [CLIENT, SERVER]
    assert all(pod["spec"]["activeDeadlineSeconds"] <= 300 for pod in pods)


def test_errors_name_the_setting_and_the_remedy() -> None:
    found = verdict(enforced=False, declared=True)
    assert "opstrace:cluster.enforcesNetworkPolicies to false" in found.remedy and "enableNetworkPolicy" in found.remedy
