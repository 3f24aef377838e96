"""Where all pods are scheduled, with which priority and resources, and what their service accounts carry."""

import json
from typing import Any

import pytest

from components.config.load import from_settings
from components.config.platform.settings import PlatformSettings
from components.core.errors import ConfigError
from components.core.resource_names import DEPLOYMENT_TYPE, PRIORITY_CLASS_TYPE, SERVICE_ACCOUNT_TYPE
from scripts.checks.policy_probe import manifests
from tests.support.factories import settings
from tests.support.pulumi_mocks import Resources, declared

ALERTS = [{"name": "default", "alertmanager": {"enabled": True}}]
PODS = {
    "tolerations": [
        {"key": "dedicated", "value": "observability", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
    ],
    "nodeSelector": {"example.com/pool": "observability"},
    "tenantPriorityClass": "middle",
    "gatewayPriorityClass": "high",
    "gateway": {"cpu": "1", "memory": "512Mi"},
    "serviceAccountAnnotations": {"example.com/owner": "platform"},
}


def specs(resources: Resources) -> dict[str, dict[str, Any]]:
    """Return the spec of each workload's pods except the collectors', by the workload's type and name."""
    others = [entry for entry in resources if not entry.name.startswith("collectors-")]
    found = {(entry.typ, entry.name): entry.inputs.get("spec") for entry in others}
    return {
        name: spec["template"]["spec"] | {"type": kind}
        for (kind, name), spec in found.items()
        if isinstance(spec, dict) and "template" in spec
    }


def test_every_pod_follows_the_platform() -> None:
    resources = declared(settings(tenants=ALERTS, pods=PODS))
    pods = specs(resources)
    assert len(pods) == 6
    for pod in pods.values():
        is_gateway = pod["type"] == DEPLOYMENT_TYPE
        assert pod["nodeSelector"] == PODS["nodeSelector"]
        assert pod["tolerations"] == [
            {"operator": "Equal", "key": "dedicated", "value": "observability", "effect": "NoSchedule"},
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ]
        assert pod["priorityClassName"] == ("high" if is_gateway else "middle")
        requests = pod["containers"][0]["resources"]["requests"]
        assert (requests == PODS["gateway"]) == is_gateway
    assert PRIORITY_CLASS_TYPE not in {entry.typ for entry in resources}
    accounts = [
        entry.inputs["metadata"]
        for entry in resources
        if entry.typ == SERVICE_ACCOUNT_TYPE and not entry.name.startswith("collectors-")
    ]
    assert [account["annotations"] for account in accounts] == [PODS["serviceAccountAnnotations"]] * 3


def test_without_these_settings_pods_run_on_any_node() -> None:
    resources = declared(settings(tenants=ALERTS))
    for pod in specs(resources).values():
        assert not pod.keys() & {"nodeSelector", "tolerations", "imagePullSecrets"}
        assert ("priorityClassName" in pod) == (pod["type"] == DEPLOYMENT_TYPE)
    accounts = [
        entry.inputs["metadata"]
        for entry in resources
        if entry.typ == SERVICE_ACCOUNT_TYPE and not entry.name.startswith("collectors-")
    ]
    assert accounts and not any("annotations" in account for account in accounts)


def test_the_probe_of_network_policies_runs_where_the_pods_of_tenants_run() -> None:
    config = from_settings(settings(pods=PODS), "showdown")
    _, *probe = manifests("x", "image", config.platform.pod_settings)
    assert [pod["spec"]["nodeSelector"] for pod in probe] == [PODS["nodeSelector"]] * 2
    assert [pod["spec"]["priorityClassName"] for pod in probe] == ["middle"] * 2


def test_a_tenant_in_its_own_stack_is_scheduled_as_its_instance() -> None:
    config = from_settings(settings(pods=PODS), "showdown")
    exported = json.loads(json.dumps(config.platform.exported()))
    assert PlatformSettings.model_validate(exported) == config.platform


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ({"tolerations": [{"value": "a"}]}, "pods.tolerations.0: names no taint; set key, or `operator: Exists`"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "a taint has any value; remove value"),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 1}]}, "tolerationSeconds needs `effect: NoExecute`"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "pods.tolerations.0.effect: must be 'NoSchedule'"),
        ({"tolerations": [{"key": "a b"}]}, "pods.tolerations.0.key: must be the key of a label"),
        ({"tolerations": [{"key": "a", "value": "b c"}]}, "pods.tolerations.0.value: must be the value of a label"),
        ({"nodeSelector": {"a b": "c"}}, "pods.nodeSelector: Kubernetes does not accept the label 'a b': 'c'"),
        ({"nodeSelector": {"a": "b\n"}}, "Kubernetes does not accept the label 'a'"),
        ({"tenantPriorityClass": "High"}, "pods.tenantPriorityClass: must be the name of a Kubernetes object"),
        ({"gateway": {"memory": "2Gi"}}, "pods.gateway.memory: '2Gi' is more than the memory limit of a gateway pod"),
        ({"gateway": {"cpu": "0"}}, "pods.gateway.cpu: must be a quantity above 0"),
        ({"serviceAccountAnnotations": {"a": "b\n"}}, "the value of 'a' has several lines"),
        ({"serviceAccountAnnotations": {"a b": ""}}, "Kubernetes does not accept the key 'a b'"),
        (
            {"serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn"}},
            "'eks.amazonaws.com/role-arn' would give the pods another role than their tenant's own",
        ),
    ],
)
def test_what_kubernetes_would_refuse_is_refused(pods: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as refused:
        from_settings(settings(pods=pods), "showdown")
    assert told in str(refused.value)
