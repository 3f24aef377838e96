"""The settings of the network load balancer: its network, its targets and its ports."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.config.base import Name, Section, value_without_problems, without_duplicates

Targets = Literal["nodes", "pods"]
Binding = Literal["elbv2.k8s.aws/v1beta1", "eks.amazonaws.com/v1"]
VPC_PATTERN = r"^vpc-[0-9a-z]+$"  # a policy names it: no wildcards
CONTROLLER_BINDING: Binding = "elbv2.k8s.aws/v1beta1"
AUTO_MODE_BINDING: Binding = "eks.amazonaws.com/v1"


class LoadBalancerConfig(Section):
    """VPC, subnets, targets and ports of the network load balancer."""

    vpc_id: Annotated[
        str,
        Field(
            description="VPC of the cluster. A change replaces the target group and the security group.",
            pattern=VPC_PATTERN,
        ),
    ]
    subnet_ids: Annotated[
        list[Name],
        Field(
            description="Subnets of the load balancer, one in each availability zone: public ones, or private ones "
            "together with `internal: true`.",
            min_length=1,
        ),
    ]
    targets: Annotated[
        Targets,
        Field(
            description="`nodes`: the nodes of node groups and autoscaling groups get the requests. `pods`: the gateway's pods "
            "get them by a TargetGroupBinding, for nodes of Karpenter and EKS Auto Mode, which are in no group. A change "
            "interrupts requests for up to 5 minutes."
        ),
    ] = "nodes"
    node_groups: Annotated[
        list[Name],
        Field(
            description="EKS managed node groups by name. Each update looks up their autoscaling groups. With "
            "`targets: nodes`, name one here or in autoscalingGroups.",
            min_length=1,
        ),
    ] = []
    autoscaling_groups: Annotated[
        list[Name],
        Field(
            description="Autoscaling groups of self-managed node groups. For managed ones, use nodeGroups.",
            min_length=1,
        ),
    ] = []
    target_group_binding: Annotated[
        Binding,
        Field(
            description="API of the TargetGroupBinding with `targets: pods`: `elbv2.k8s.aws/v1beta1` of the AWS Load Balancer "
            "Controller, or `eks.amazonaws.com/v1` of EKS Auto Mode."
        ),
    ] = CONTROLLER_BINDING
    node_port: Annotated[
        int, Field(description="Port of the gateway on every node, in the node port range.", ge=30000, le=32767)
    ] = 30443
    port: Annotated[
        int, Field(description="Port at which the load balancer serves the tenants' APIs.", ge=1, le=65535)
    ] = 443
    internal: Annotated[
        bool,
        Field(description="Whether the load balancer has private addresses only. A change replaces the load balancer."),
    ] = False

    deletion_protection: Annotated[
        bool,
        Field(
            description="Whether AWS refuses to delete the load balancer. `destroy`, and changes that replace the load balancer, "
            "are refused then: set it to false and apply first."
        ),
    ] = False

    @field_validator("node_groups", "autoscaling_groups")
    @classmethod
    def _distinct(cls, groups: list[str]) -> list[str]:
        return without_duplicates(groups)

    @model_validator(mode="after")
    def _one_kind_of_targets(self) -> Self:
        problems = []
        groups = {"nodeGroups": self.node_groups, "autoscalingGroups": self.autoscaling_groups}
        named = [setting for setting, values in groups.items() if values]
        if self.targets == "pods" and named:
            problems.append(f"with `targets: pods`, no node is a target; remove {' and '.join(named)}")
        if self.targets == "nodes" and not named:
            problems.append(
                "has no targets; set nodeGroups to EKS node groups, or autoscalingGroups to groups that you manage yourself; "
                "for nodes of Karpenter or EKS Auto Mode, set `targets: pods`"
            )
        if self.targets == "nodes" and "target_group_binding" in self.model_fields_set:
            problems.append("targetGroupBinding has an effect with `targets: pods` alone; set that, or remove it")
        return value_without_problems(problems, self)

    @property
    def is_bound_by_auto_mode(self) -> bool:
        """Whether EKS Auto Mode registers the gateway's pods."""
        return self.targets == "pods" and self.target_group_binding == AUTO_MODE_BINDING
