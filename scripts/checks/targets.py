"""Checks of the load balancer's targets: node groups, or pods, which must run on nodes that have EBS volumes."""

import fnmatch
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from components.config.load_balancer import AUTO_MODE_BINDING
from components.config.stack import StackConfig
from components.core.labels import labels
from components.core.names import GATEWAY_NAMESPACE, SYSTEM, namespace
from scripts.checks.finding import Finding, error, ok, or_ok
from scripts.checks.subject import Subject, instance_of
from scripts.clients.aws import is_code

TARGETS, FARGATE = "targets", "Fargate"
SETTING = "opstrace:loadBalancer"
BINDING = "TargetGroupBinding"
IN_SERVICE = "InService"
NOT_FOUND = "ResourceNotFoundException"


def find_targets(subject: Subject) -> list[Finding]:
    """Check the groups of nodes that are the load balancer's targets, or that a controller registers pods."""
    balancer = subject.config.load_balancer
    if balancer.targets == "pods":
        kind = balancer.target_group_binding
        return [binding_finding(kind, is_known=subject.cluster.has_kind(kind, BINDING))]
    groups, found = [*balancer.autoscaling_groups], []
    for name in balancer.node_groups:
        groups_of = _groups_of(subject, name)
        groups += groups_of
        if not groups_of:
            message = f"the EKS cluster {subject.config.cluster.eks_name} has no node group {name} with instances"
            found.append(
                error(TARGETS, message, f"correct {SETTING}.nodeGroups: `aws eks list-nodegroups` prints them")
            )
    if not groups:
        return found
    answer = subject.account.ask("autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=groups)
    nodes = {*filter(None, map(instance_of, subject.nodes))}
    return [*found, *group_findings(groups, answer["AutoScalingGroups"], nodes)]


def _groups_of(subject: Subject, node_group: str) -> list[str]:
    """Return the autoscaling groups of an EKS node group; none if there is no such node group."""
    names = {"clusterName": subject.config.cluster.eks_name, "nodegroupName": node_group}
    try:
        answer = subject.account.ask("eks", "describe_nodegroup", **names)
    except ClientError as refused:
        if not is_code(refused, NOT_FOUND):
            raise
        return []
    return [group["name"] for group in answer["nodegroup"].get("resources", {}).get("autoScalingGroups", [])]


def binding_finding(kind: str, *, is_known: bool) -> Finding:
    """Return what it means that the cluster knows, or does not know, the TargetGroupBinding of an API."""
    if is_known:
        return ok(TARGETS, f"pods, by {BINDING} of {kind}")
    remedy = (
        "turn on load balancing of EKS Auto Mode, or set targetGroupBinding to that of the AWS Load Balancer Controller"
        if kind == AUTO_MODE_BINDING
        else "install the AWS Load Balancer Controller, or set targetGroupBinding to eks.amazonaws.com/v1 for EKS Auto Mode"
    )
    message = f"{SETTING}.targets is pods, but the cluster has no {BINDING} of {kind}: nothing would register the pods"
    return error(TARGETS, message, remedy)


def group_findings(names: Iterable[str], groups: Iterable[Mapping[str, Any]], nodes: Collection[str]) -> list[Finding]:
    """Return what the autoscaling groups mean; `nodes` are the instances of the cluster's nodes."""
    found = []
    by_name = {group["AutoScalingGroupName"]: group for group in groups}
    command = "`aws eks describe-nodegroup` prints the group of a node group"
    for group in names:
        if group not in by_name:
            message = f"there is no autoscaling group {group}; a replaced node group has another one"
            found.append(error(TARGETS, message, f"set {SETTING}.nodeGroups, which are looked up, or correct the name"))
            continue
        instances = [one["InstanceId"] for one in by_name[group]["Instances"] if one["LifecycleState"] == IN_SERVICE]
        if not instances:
            found.append(error(TARGETS, f"{group} has no instance in service", "raise its desired size"))
        elif nodes and not {*instances} & {*nodes}:
            message = f"no instance of {group} is a node of the cluster, so requests would not arrive"
            found.append(error(TARGETS, message, f"correct {SETTING} or opstrace:cluster.context: {command}"))
    return or_ok(found, TARGETS, f"{len(by_name)} autoscaling groups with instances in service")


def find_fargate(subject: Subject) -> list[Finding]:
    """Check that no Fargate profile of the EKS cluster selects the instance's pods."""
    name = subject.config.cluster.eks_name
    if name is None:
        return [ok(FARGATE, "no EKS cluster")]
    profiles = [
        subject.account.ask("eks", "describe_fargate_profile", clusterName=name, fargateProfileName=profile)
        for profile in subject.account.ask("eks", "list_fargate_profiles", clusterName=name)["fargateProfileNames"]
    ]
    return fargate_findings(subject.config, [profile["fargateProfile"] for profile in profiles])


def fargate_findings(config: StackConfig, profiles: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return what the Fargate profiles mean for the namespaces and labels of the instance's pods."""
    namespaces = [GATEWAY_NAMESPACE, *map(namespace, (SYSTEM, *(tenant.name for tenant in config.tenants)))]
    own = {key for tenant in config.tenants for key in config.settings_of(tenant.name).labels}
    keys = own | {*labels("", "", "")}
    selectors = [(profile, selector) for profile in profiles for selector in profile.get("selectors", [])]
    found = [
        error(
            FARGATE,
            f"the profile {profile['fargateProfileName']} selects the namespace {taken[0]} (by {selector['namespace']!r}), but "
            "Fargate has no EBS volumes, which back ends need for their write-ahead logs",
            "change the profile's selectors, and run the instance on nodes",
        )
        for profile, selector in selectors
        if {*selector.get("labels", {})} <= keys and (taken := fnmatch.filter(namespaces, selector["namespace"]))
    ]
    return or_ok(found, FARGATE, "selects no pod of the instance")
