"""Why pods are not ready, from a real API server: the quota's words, and a claim that stays Pending."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.plugins.kubernetes import endpoints
from localcloud.plugins.kubernetes.api import KubernetesApi
from localcloud.plugins.kubernetes.readiness import await_ready
from localcloud.plugins.provider import ProviderError
from scripts.clients.kubernetes import Cluster
from scripts.instances import gateway
from scripts.instances.gateway import gateway_readiness
from scripts.tenants.readiness import reasons_of, state_of
from tests.support.bare_cloud import CONTEXT
from tests.support.polling import eventually
from tests.support.stack import Stack

NAMESPACE = "stuck-tenant"
SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"


def stateful_set(name: str, claim: Mapping[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": name, "image": "none", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}
    template = {"metadata": {"name": "data"}, "spec": claim}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "serviceName": name,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            "volumeClaimTemplates": [template],
        },
    }


def refuses(api: KubernetesApi) -> bool:
    """Tell whether the quota is in force, by a pod that is not created."""
    pod = stateful_set("probe", {})["spec"]["template"]["spec"]
    try:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All"
        api.request("POST", path, {"metadata": {"name": "probe"}, "spec": pod})
    except ProviderError as error:
        return "exceeded quota" in str(error)
    return False


@pytest.fixture(scope="module")
def stuck(bare_stack: Stack) -> Iterator[Stack]:
    api = bare_stack.cloud.kubernetes
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"limits.cpu": "1"}}}
    api.request("POST", f"/api/v1/namespaces/{NAMESPACE}/resourcequotas", quota)
    eventually(lambda: refuses(api), 60, 0.2)  # the admission sees the quota after a moment
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "none",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    for name in ("cortex", "loki"):
        api.request("POST", SETS, stateful_set(name, claim))
    yield bare_stack
    path = f"/api/v1/namespaces/{NAMESPACE}"
    api.request("DELETE", path)
    # The next module compares inventories of this cloud, in which the objects would disappear.
    eventually(lambda: api.get(path) is None, 120, detail=lambda: f"{NAMESPACE} is still there")


def test_the_quota_and_the_claim_are_named_by_commands_and_by_updates(stuck: Stack) -> None:
    config: Any = SimpleNamespace(cluster=SimpleNamespace(context=CONTEXT))
    cluster = Cluster(stuck.environment, config)

    def told() -> str:
        return "\n".join(reasons_of(cluster, "stuck", ("cortex", "loki")))

    eventually(lambda: "FailedCreate" in told() and "Pending" in told(), 60, 0.5, told)
    assert state_of(cluster, "stuck", ("cortex",)) == "cortex 0 of 1 ready"
    assert "exceeded quota: q" in told() and "claim data-cortex-0 is Pending" in told()
    live, reasons = await_ready(stuck.cloud.kubernetes, f"{SETS}/loki", 1)
    assert live["metadata"]["name"] == "loki"
    assert any("exceeded quota: q" in reason for reason in reasons) and "claim data-loki-0 is Pending" in reasons


def test_the_quota_is_named_for_the_gateway_too(stuck: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "GATEWAY_NAMESPACE", NAMESPACE)
    deployment = stateful_set(gateway.GATEWAY, {})
    deployment["spec"] = {key: deployment["spec"][key] for key in ("selector", "template")} | {"replicas": 2}
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    stuck.cloud.kubernetes.request("POST", path, deployment | {"kind": "Deployment"})
    config: Any = SimpleNamespace(cluster=SimpleNamespace(context=CONTEXT))
    cluster = Cluster(stuck.environment, config)

    def told() -> str:
        return gateway_readiness(cluster).in_words()

    eventually(lambda: "FailedCreate" in told(), 60, 0.5, told)
    assert told().startswith("0 of 2 pods ready; ") and "exceeded quota: q" in told()


def test_a_service_is_awaited_by_the_endpoints_that_the_cluster_makes(
    stuck: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "SETTLE_SECONDS", 1.0)
    api, path = stuck.cloud.kubernetes, f"/api/v1/namespaces/{NAMESPACE}/services"
    spec = {"selector": {"app": "nothing"}, "ports": [{"port": 80}]}
    api.request("POST", path, {"metadata": {"name": "cortex"}, "spec": spec})
    live, reasons = await_ready(api, f"{path}/cortex", 60)
    assert live["kind"] == "Service" and reasons == []
    assert api.get(f"/api/v1/namespaces/{NAMESPACE}/endpoints/cortex") is not None
