"""Node groups of EKS that are replaced, and pods as targets, on a bare cloud with a real engine and API server."""

from collections.abc import Iterator
from typing import Any

import pytest

from components.config.load import from_settings
from components.core.names import GATEWAY_NAMESPACE
from components.core.resource_names import ATTACHMENT_TYPE, TARGET_GROUP_TYPE
from components.gateway.settings import LISTEN_PORT
from scripts.checks.subject import Account, Subject
from scripts.checks.targets import find_targets
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from tests.support.polling import eventually
from tests.support.stack import INSTANCE, Stack

EKS, WORKERS = "observability", "workers"
ROLE = "arn:aws:iam::123456789012:role/eks"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "targetgroupbindings.elbv2.k8s.aws"},
    "spec": {
        "group": "elbv2.k8s.aws",
        "names": {"kind": "TargetGroupBinding", "plural": "targetgroupbindings", "singular": "targetgroupbinding"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


class Deployed:
    """An instance whose targets are those of an EKS node group; the autoscaling groups follow the node group."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self._eks, self._scaling = stack, stack.cloud.aws("eks"), stack.cloud.aws("autoscaling")
        self.subnets: list[str] = stack.settings("create")["loadBalancer"]["subnetIds"]
        self._eks.create_cluster(name=EKS, roleArn=ROLE, resourcesVpcConfig={"subnetIds": self.subnets})
        self.group = self._make()

    def _make(self) -> str:
        """Create the node group with an autoscaling group, as EKS does; return the autoscaling group's name."""
        node_group = self._eks.create_nodegroup(
            clusterName=EKS, nodegroupName=WORKERS, subnets=self.subnets, nodeRole=ROLE
        )["nodegroup"]
        name = str(node_group["resources"]["autoScalingGroups"][0]["name"])
        self._scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchConfigurationName="nodes",
            MinSize=0,
            MaxSize=1,
            VPCZoneIdentifier=",".join(self.subnets),
        )
        return name

    def remove_node_group(self) -> None:
        self._eks.delete_nodegroup(clusterName=EKS, nodegroupName=WORKERS)
        self._scaling.delete_auto_scaling_group(AutoScalingGroupName=self.group, ForceDelete=True)

    def replace_node_group(self) -> None:
        self.remove_node_group()
        former, self.group = self.group, self._make()
        assert former != self.group

    def remove_cluster(self) -> None:
        for name in self._eks.list_nodegroups(clusterName=EKS)["nodegroups"]:
            self._eks.delete_nodegroup(clusterName=EKS, nodegroupName=name)
        self._eks.delete_cluster(name=EKS)

    def remove_kind(self) -> None:
        """Delete the definition of bindings; returns when the API server has closed their path."""
        api = self.stack.cloud.kubernetes
        api.delete(f"{CRDS}/{CRD['metadata']['name']}")
        eventually(lambda: api.get("/apis/elbv2.k8s.aws/v1beta1") is None, 60, 0.1)

    def write(self, **balancer: Any) -> dict[str, Any]:
        """Write the stack file with these settings of the load balancer's targets; return all settings."""
        settings = self.stack.settings("create")
        others = {name: value for name, value in settings["loadBalancer"].items() if name != "autoscalingGroups"}
        cluster = settings["cluster"] | {"name": EKS}
        settings |= {"cluster": cluster, "loadBalancer": others | balancer}
        self.stack.write_settings(settings)
        return settings

    def subject(self, settings: dict[str, Any]) -> Subject:
        """Return what the preflight checks, by these settings; commands ask no preflight of a stand-in for AWS."""
        config, environment = from_settings(settings, INSTANCE), self.stack.environment
        return Subject(INSTANCE, config, Account(Clients(environment, config)), Cluster(environment, config))

    def targets_of(self, group: str) -> list[str]:
        described = self._scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
        return [arn for entry in described for arn in entry.get("TargetGroupARNs", [])]

    def is_attached(self) -> bool:
        """Tell whether the one attachment of the state, and of AWS, is that of the node group as it is now."""
        (target,) = self.stack.of_type(TARGET_GROUP_TYPE)
        attached = [entry["inputs"]["autoscalingGroupName"] for entry in self.stack.of_type(ATTACHMENT_TYPE)]
        return attached == [self.group] and self.targets_of(self.group) == [target["id"]]


@pytest.fixture(scope="module")
def deployed(bare_stack: Stack) -> Iterator[Deployed]:
    instance = Deployed(bare_stack)
    bare_stack.file.unlink(missing_ok=True)
    instance.write(targets="pods")
    bare_stack.engine().ensure_stack()
    bare_stack.cloud.kubernetes.request("POST", CRDS, CRD)
    instance.stack.up()
    yield instance
    if bare_stack.engine().exists():
        bare_stack.opstrace("destroy", "aws", INSTANCE, "--purge", "--yes", "--force")
    instance.remove_cluster()


def test_pods_are_targets_by_a_binding(deployed: Deployed) -> None:
    api, namespace = deployed.stack.cloud.kubernetes, f"namespaces/{GATEWAY_NAMESPACE}"
    binding = api.get(f"/apis/elbv2.k8s.aws/v1beta1/{namespace}/targetgroupbindings/gateway")
    (target,) = deployed.stack.of_type(TARGET_GROUP_TYPE)
    assert binding and binding["spec"] == {
        "serviceRef": {"name": "gateway", "port": "http"},
        "targetGroupARN": target["id"],
        "targetType": "ip",
    }
    assert (target["inputs"]["targetType"], target["inputs"]["port"]) == ("ip", LISTEN_PORT)
    assert deployed.stack.of_type(ATTACHMENT_TYPE) == [] and deployed.targets_of(deployed.group) == []
    service = api.get(f"/api/v1/{namespace}/services/gateway")
    assert service and service["spec"]["type"] == "ClusterIP" and "nodePort" not in service["spec"]["ports"][0]


def test_nodes_take_the_place_of_pods_which_the_preflight_refuses_without_a_controller(deployed: Deployed) -> None:
    subject = deployed.subject(deployed.write(targets="pods"))
    assert [one.level for one in find_targets(subject)] == ["ok"]
    deployed.write(autoscalingGroups=[deployed.group])
    deployed.stack.up()
    assert deployed.is_attached()
    deployed.remove_kind()
    (refused,) = find_targets(deployed.subject(deployed.write(targets="pods")))
    assert refused.level == "error" and "no TargetGroupBinding of elbv2.k8s.aws/v1beta1" in refused.message


def test_groups_that_were_named_by_hand_are_taken_over_without_a_change(deployed: Deployed) -> None:
    deployed.write(nodeGroups=[WORKERS])
    assert deployed.stack.changes() == {}
    deployed.stack.up()
    assert deployed.is_attached()


@pytest.mark.parametrize(
    ("balancer", "told"),
    [
        ({"nodeGroups": ["nosuch"]}, "'nosuch' in the EKS cluster 'observability'"),
        ({"nodeGroups": [WORKERS], "autoscalingGroups": ["{group}"]}, "loadBalancer.autoscalingGroups names them too"),
    ],
)
def test_what_cannot_be_a_target_is_refused_before_anything_changes(
    deployed: Deployed, balancer: dict[str, list[str]], told: str
) -> None:
    groups = {setting: [name.format(group=deployed.group) for name in names] for setting, names in balancer.items()}
    deployed.write(**groups)
    try:
        output = deployed.stack.up(check=False)
        assert told in output and "Traceback" not in output, output
        assert deployed.is_attached()
    finally:
        deployed.write(nodeGroups=[WORKERS])


def test_a_replaced_node_group_gets_requests_at_once_and_a_refresh_forgets_the_former_one(deployed: Deployed) -> None:
    deployed.replace_node_group()
    failed = deployed.stack.up(check=False)
    assert (
        "AutoScalingGroup name not found" in failed
    )  # like the official plugin, which detaches from a group that is gone
    assert deployed.targets_of(deployed.group)
    deployed.stack.up("--refresh")
    assert deployed.is_attached() and deployed.stack.changes() == {}


def test_commands_forget_the_former_group_themselves(deployed: Deployed) -> None:
    deployed.replace_node_group()
    config = from_settings(deployed.write(nodeGroups=[WORKERS]), INSTANCE)
    environment = deployed.stack.environment
    deployed.stack.engine().up(Clients(environment, config), Cluster(environment, config))
    assert deployed.is_attached()


def test_an_instance_whose_node_group_is_gone_is_destroyed(deployed: Deployed) -> None:
    deployed.remove_node_group()
    deployed.stack.opstrace("destroy", "aws", INSTANCE, "--purge", "--yes", "--force")
    assert not deployed.stack.engine().exists()
