"""The declared targets of the load balancer: pods by a TargetGroupBinding, nodes by attachments."""

from typing import Any

import pulumi
import pytest

from components.core.resource_names import (
    ATTACHMENT_TYPE,
    DEPLOYMENT_TYPE,
    EGRESS_RULE_TYPE,
    INGRESS_RULE_TYPE,
    NAMESPACE_TYPE,
    SERVICE_TYPE,
    TARGET_GROUP_TYPE,
)
from tests.support.factories import CLUSTER, settings
from tests.support.pulumi_mocks import declared

NETWORK = {"vpcId": "vpc-1", "subnetIds": ["subnet-1"]}
APIS = ("elbv2.k8s.aws/v1beta1", "eks.amazonaws.com/v1")


def resources_with(**balancer: Any) -> list[pulumi.runtime.MockResourceArgs]:
    return declared(settings(loadBalancer=NETWORK | balancer, cluster=CLUSTER | {"name": "observability"}))


@pytest.mark.parametrize("api", APIS)
def test_pods_get_requests_at_the_gateway_s_own_port_from_the_load_balancer_alone(api: str) -> None:
    resources = resources_with(targets="pods", targetGroupBinding=api)
    (group,) = [entry.inputs for entry in resources if entry.typ == TARGET_GROUP_TYPE]
    assert (group["targetType"], group["port"], group["name"]) == ("ip", 8080, "showdown-pods")
    # Without this tag, EKS Auto Mode may not register targets.
    assert group["tags"].get("eks:eks-cluster-name") == ("observability" if api == APIS[1] else None)
    (binding,) = [entry.inputs for entry in resources if entry.typ.endswith(":TargetGroupBinding")]
    assert (binding["apiVersion"], binding["kind"]) == (api, "TargetGroupBinding")
    assert binding["spec"]["targetGroupARN"] == "arn:instance-entrance-targets"
    assert [entry for entry in resources if entry.typ == ATTACHMENT_TYPE] == []
    (service,) = [entry.inputs["spec"] for entry in resources if entry.name == "instance-gateway-service"]
    assert service["type"] == "ClusterIP" and "nodePort" not in service["ports"][0]
    rules = [entry.inputs for entry in resources if entry.typ in (INGRESS_RULE_TYPE, EGRESS_RULE_TYPE)]
    assert {rule["fromPort"] for rule in rules if rule.get("referencedSecurityGroupId")} == {8080}


@pytest.mark.parametrize("api", APIS)
def test_a_rollout_waits_until_the_load_balancer_has_the_new_pods(api: str) -> None:
    resources = resources_with(targets="pods", targetGroupBinding=api)
    order = [entry.typ for entry in resources if entry.name.startswith("instance-gateway")]
    binding = next(number for number, kind in enumerate(order) if kind.endswith(":TargetGroupBinding"))
    assert order.index(SERVICE_TYPE) < binding < order.index(DEPLOYMENT_TYPE)
    (namespace,) = [entry.inputs for entry in resources if entry.typ == NAMESPACE_TYPE and "gateway" in entry.name]
    assert namespace["metadata"]["labels"][f"{api.split('/', maxsplit=1)[0]}/pod-readiness-gate-inject"] == "enabled"


def test_nodes_of_named_groups_are_attached_as_before() -> None:
    resources = resources_with(autoscalingGroups=["one", "two"])
    attached = {entry.name: entry.inputs["autoscalingGroupName"] for entry in resources if entry.typ == ATTACHMENT_TYPE}
    assert attached == {"instance-entrance-nodes-one": "one", "instance-entrance-nodes-two": "two"}
