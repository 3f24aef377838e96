"""The targets of the load balancer: node groups that are looked up, pods with a binding, and no pods on Fargate."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest

from components.config.load import from_settings
from components.config.load_balancer import AUTO_MODE_BINDING, CONTROLLER_BINDING
from scripts.checks.finding import Finding
from scripts.checks.subject import Account, Subject
from scripts.checks.targets import find_fargate, find_targets
from tests.support.contexts import EmptyCluster
from tests.support.factories import CLUSTER, LOAD_BALANCER, settings

EKS = "observability"
KEYS: Any = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


class Knowing(EmptyCluster):
    """A cluster that has one API of TargetGroupBindings, and no nodes."""

    def __init__(self, api: str = "") -> None:
        self._api = api

    def has_kind(self, api: str, kind: str) -> bool:
        return (api, kind) == (self._api, "TargetGroupBinding")

    def nodes(self) -> list[dict[str, Any]]:
        return []


class Clients(dict[str, Any]):
    def __missing__(self, service: str) -> Any:
        self[service] = boto3.client(service, "us-west-2", **KEYS)
        return self[service]


@pytest.fixture
def aws() -> Iterator[Clients]:
    with moto.mock_aws():
        clients = Clients()
        clients["eks"].create_cluster(name=EKS, roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={})
        yield clients


def subject(aws: Clients, balancer: dict[str, Any] | None = None, api: str = "", **cluster: str) -> Subject:
    kept = {name: value for name, value in LOAD_BALANCER.items() if name != "autoscalingGroups"}
    chosen = LOAD_BALANCER if balancer is None else kept | balancer
    config = from_settings(settings(cluster=CLUSTER | cluster, loadBalancer=chosen), "showdown")
    known: Any = Knowing(api)
    return Subject("showdown", config, Account(aws), known)


def select(aws: Clients, **selector: Any) -> None:
    aws["eks"].create_fargate_profile(
        fargateProfileName="serverless",
        clusterName=EKS,
        podExecutionRoleArn="arn:aws:iam::123456789012:role/pods",
        selectors=[selector],
    )


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


@pytest.mark.parametrize("pattern", ["default-tenant", "*-tenant", "system-tenant", "opstrace", "*"])
def test_a_profile_that_selects_the_instance_is_an_error_with_the_reason(aws: Clients, pattern: str) -> None:
    select(aws, namespace=pattern)
    found = only(find_fargate(subject(aws, name=EKS)))
    assert found.level == "error" and found.remedy
    assert found.message.startswith("the profile serverless selects the namespace") and "no EBS" in found.message
    assert only(find_fargate(subject(aws))).level == "ok"  # a cluster that is no EKS cluster by its name


@pytest.mark.parametrize(
    "selector", [{"namespace": "karpenter"}, {"namespace": "*", "labels": {"karpenter.sh/controller": "true"}}]
)
def test_profiles_of_other_pods_are_no_obstacle(aws: Clients, selector: dict[str, Any]) -> None:
    select(aws, **selector)
    assert only(find_fargate(subject(aws, name=EKS))).level == "ok"


@pytest.mark.parametrize("binding", [CONTROLLER_BINDING, AUTO_MODE_BINDING])
def test_pods_need_a_controller_that_registers_them(aws: Clients, binding: str) -> None:
    pods = {"targets": "pods", "targetGroupBinding": binding}
    assert only(find_targets(subject(aws, pods, api=binding, name=EKS))).level == "ok"
    missing = only(find_targets(subject(aws, pods, name=EKS)))
    assert missing.level == "error" and binding in missing.message and "targetGroupBinding" in missing.remedy


def test_node_groups_are_looked_up_and_a_missing_one_is_named(aws: Clients) -> None:
    subnet = aws["ec2"].describe_subnets()["Subnets"][0]["SubnetId"]
    group = aws["eks"].create_nodegroup(
        clusterName=EKS, nodegroupName="workers", nodeRole="arn:aws:iam::123456789012:role/node", subnets=[subnet]
    )["nodegroup"]["resources"]["autoScalingGroups"][0]["name"]
    found = find_targets(subject(aws, {"nodeGroups": ["workers", "replaced"]}, name=EKS))
    assert [one.level for one in found] == ["error", "error"]
    assert f"{EKS} has no node group replaced" in found[0].message
    assert f"no autoscaling group {group}" in found[1].message  # moto creates none
