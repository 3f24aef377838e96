"""The targets of the load balancer: a target group, and the nodes or pods that are in it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.config.load_balancer import LoadBalancerConfig
from components.config.stack import PREFIX
from components.core.errors import ConfigError
from components.core.names import duplicates
from components.core.resource_names import ATTACHMENT_TYPE, GET_NODE_GROUP, attachment_name, node_group_attachment_name
from components.gateway.settings import LISTEN_PORT
from components.shared.aws_resource import AwsResource
from components.shared.options import child

# EKS Auto Mode may only register targets in groups with this tag (IAM policy AmazonEKSLoadBalancingPolicy).
AUTO_MODE_TAG = "eks:eks-cluster-name"
NODE_GROUPS = f"{PREFIX}loadBalancer.nodeGroups"


@dataclass(frozen=True, kw_only=True)
class TargetsArgs:
    """Arguments of `declare_targets`; `eks_name` is the name of the EKS cluster, if it is known."""

    instance: str
    load_balancer: LoadBalancerConfig
    eks_name: str | None
    tags: Mapping[str, str]


def target_port(load_balancer: LoadBalancerConfig) -> int:
    """Return the port at which targets get the requests: that of each node, or of the gateway's pods."""
    return LISTEN_PORT if load_balancer.targets == "pods" else load_balancer.node_port


def declare_targets(name: str, args: TargetsArgs, parent: pulumi.Resource) -> aws.lb.TargetGroup:
    """Declare the target group, with the nodes of all groups in it; pods are registered by a TargetGroupBinding.

    Raises `ConfigError` where a node group does not exist.
    """
    balancer, of_pods = args.load_balancer, args.load_balancer.targets == "pods"
    auto_mode = {AUTO_MODE_TAG: str(args.eks_name)} if balancer.is_bound_by_auto_mode else {}
    group = aws.lb.TargetGroup(
        f"{name}-targets",
        # The port is in the name: a new port needs a new group, which must exist before the listener releases the old one.
        name=f"{args.instance}-{'pods' if of_pods else balancer.node_port}",
        port=target_port(balancer),
        protocol="TCP",
        vpc_id=balancer.vpc_id,
        target_type="ip" if of_pods else "instance",
        proxy_protocol_v2=True,  # the gateway sees the client's address
        # With the client's address, a pod whose request returns to its own node would never get an answer.
        preserve_client_ip="false",
        deregistration_delay=30,
        health_check={"protocol": "TCP", "interval": 10, "healthy_threshold": 2, "unhealthy_threshold": 2},
        tags={**args.tags, **auto_mode},
        opts=child(parent),
    )
    _attach(name, args, group, parent)
    return group


def _attach(name: str, args: TargetsArgs, target_group: aws.lb.TargetGroup, parent: pulumi.Resource) -> None:
    """Attach the autoscaling groups. Those of a node group have its name, which outlives them."""
    balancer = args.load_balancer
    attachments = {attachment_name(name, group): (group, "") for group in balancer.autoscaling_groups}
    for node_group in balancer.node_groups:
        for number, group in enumerate(_autoscaling_groups(str(args.eks_name), node_group, parent)):
            # The group may have been named itself before. Another attachment's deletion would detach its nodes.
            former = attachment_name(name, group)
            attachments[node_group_attachment_name(name, node_group, number)] = (group, former)
    if twice := duplicates([group for group, _ in attachments.values()]):
        raise ConfigError(
            f"{NODE_GROUPS}: the autoscaling groups {', '.join(twice)} are of node groups, and "
            f"{PREFIX}loadBalancer.autoscalingGroups names them too; remove them there"
        )
    for attachment, (group, former) in attachments.items():
        aliases = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=former)]) if former else None
        AwsResource(
            ATTACHMENT_TYPE,
            attachment,
            child(parent, more=aliases),
            autoscalingGroupName=group,
            lbTargetGroupArn=target_group.arn,
        )


def _autoscaling_groups(cluster: str, node_group: str, parent: pulumi.Resource) -> list[str]:
    """Return the autoscaling groups of an EKS node group; raises `ConfigError` where there are none."""
    names = {"clusterName": cluster, "nodeGroupName": node_group}
    remedy = f"`aws eks list-nodegroups --cluster-name {cluster}` prints the names of node groups"
    try:
        answer = pulumi.runtime.invoke(GET_NODE_GROUP, names, pulumi.InvokeOptions(parent=parent)).value
    except Exception as error:  # the SDK raises no narrower one
        raise ConfigError(
            f"{NODE_GROUPS}: AWS does not tell the autoscaling groups of {node_group!r} in the EKS cluster {cluster!r}: "
            f"{str(error).strip()}; {remedy}"
        ) from error
    resources = (answer or {}).get("resources") or []
    found = [str(group["name"]) for entry in resources for group in entry.get("autoscalingGroups") or []]
    if not found:
        raise ConfigError(
            f"{NODE_GROUPS}: the node group {node_group!r} of the EKS cluster {cluster!r} has no autoscaling group yet; wait "
            f"until it is ACTIVE; {remedy}"
        )
    return found
