"""The targets of the load balancer: what is accepted, and what is refused with the remedy."""

from typing import Any

import pytest

from components.config.load import from_settings
from components.core.errors import ConfigError
from tests.support.factories import CLUSTER, settings

NETWORK = {"vpcId": "vpc-1", "subnetIds": ["subnet-1"]}
ARN = "arn:aws:eks:us-west-2:123456789012:cluster/observability"


@pytest.mark.parametrize(
    ("balancer", "cluster", "eks_name"),
    [
        ({"autoscalingGroups": ["nodes"]}, {}, None),
        ({"nodeGroups": ["workers"]}, {"name": "other"}, "other"),
        ({"nodeGroups": ["workers"], "autoscalingGroups": ["own"]}, {"context": ARN}, "observability"),
        ({"targets": "pods"}, {}, None),
        ({"targets": "pods", "targetGroupBinding": "eks.amazonaws.com/v1"}, {"context": ARN}, "observability"),
    ],
)
def test_nodes_of_groups_or_pods_are_targets(
    balancer: dict[str, Any], cluster: dict[str, str], eks_name: str | None
) -> None:
    config = from_settings(settings(loadBalancer=NETWORK | balancer, cluster=CLUSTER | cluster), "showdown")
    assert config.cluster.eks_name == eks_name


@pytest.mark.parametrize(
    ("balancer", "told"),
    [
        ({}, "loadBalancer: has no targets; set nodeGroups to EKS node groups"),
        ({"nodeGroups": []}, "loadBalancer.nodeGroups: must have at least 1 item"),
        ({"nodeGroups": ["a", "a"]}, "loadBalancer.nodeGroups: given more than once: a"),
        ({"targets": "nodes"}, "loadBalancer: has no targets"),
        ({"targets": "fargate"}, "loadBalancer.targets: must be 'nodes' or 'pods' (given: 'fargate')"),
        ({"targets": "pods", "nodeGroups": ["a"]}, "with `targets: pods`, no node is a target; remove nodeGroups"),
        ({"targets": "pods", "autoscalingGroups": ["a"]}, "no node is a target; remove autoscalingGroups"),
        (
            {"autoscalingGroups": ["a"], "targetGroupBinding": "eks.amazonaws.com/v1"},
            "targetGroupBinding has an effect with `targets: pods` alone",
        ),
        ({"nodeGroups": ["a"]}, "cluster.name: is required, because loadBalancer.nodeGroups are looked up by it"),
        (
            {"targets": "pods", "targetGroupBinding": "eks.amazonaws.com/v1"},
            "cluster.name: is required, because EKS Auto Mode registers targets by it",
        ),
    ],
)
def test_what_gives_no_targets_is_refused(balancer: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as refused:
        from_settings(settings(loadBalancer=NETWORK | balancer), "showdown")
    assert told in str(refused.value)
