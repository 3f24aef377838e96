"""Resource type of Auto Scaling: the attachment of a target group to a group."""

from components.core.resource_names import ATTACHMENT_TYPE
from localcloud.plugins.aws.api import AwsApi, ResourceType
from localcloud.plugins.provider import Properties, ProviderError


def _attach(api: AwsApi, inputs: Properties, timeout: float) -> str:
    group, target = inputs["autoscalingGroupName"], inputs["lbTargetGroupArn"]
    api.autoscaling.attach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=[target])
    return f"{group}_{target}"


def _read_attachment(api: AwsApi, identity: str, properties: Properties) -> Properties | None:
    if not properties:  # like the official plugin
        raise ProviderError(
            f"the attachment {identity} cannot be imported; let `pulumi up` create it: that changes nothing in AWS"
        )
    group, target = properties["autoscalingGroupName"], properties["lbTargetGroupArn"]
    described = api.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    if not described or target not in described[0].get("TargetGroupARNs", []):
        return None
    return {"autoscalingGroupName": group, "lbTargetGroupArn": target, "region": api.region}


def _detach(api: AwsApi, identity: str, state: Properties) -> None:
    """Detach a group. Like the official plugin, this fails for a group that is gone; a refresh drops such an attachment."""
    group, target = state["autoscalingGroupName"], state["lbTargetGroupArn"]
    described = api.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    # For an attachment that is gone, AWS's answer depends on the group's instances.
    if described and target not in described[0].get("TargetGroupARNs", []):
        return
    api.autoscaling.detach_load_balancer_target_groups(AutoScalingGroupName=group, TargetGroupARNs=[target])


TYPES = {
    ATTACHMENT_TYPE: ResourceType(
        required=("autoscalingGroupName", "lbTargetGroupArn"),
        fixed=("autoscalingGroupName", "lbTargetGroupArn"),
        create=_attach,
        read=_read_attachment,
        delete=_detach,
    ),
}
