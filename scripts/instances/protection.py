"""The deletion protection of an instance's load balancer, which would stop its removal halfway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from components.core.errors import UserError
from components.core.resource_names import LOAD_BALANCER_TYPE
from scripts.clients.aws import is_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scripts.clients.aws import Clients

ATTRIBUTE = "deletion_protection.enabled"


def require_unprotected(resources: Iterable[Mapping[str, Any]], aws: Clients, instance: str) -> None:
    """Raise `UserError` where AWS would refuse to delete the instance's load balancer; `resources` are those of the state."""
    for resource in resources:
        if resource["type"] == LOAD_BALANCER_TYPE and _is_protected(aws, str(resource.get("id", ""))):
            raise UserError(
                f"the load balancer of {instance} has deletion protection, so AWS refuses to delete it; set "
                f"opstrace:loadBalancer.deletionProtection to false, apply it by `pulumi up --refresh --stack {instance}`, then "
                "run this again"
            )


def _is_protected(aws: Clients, arn: str) -> bool:
    """Ask AWS, because somebody may have switched it there."""
    try:
        answer = aws["elbv2"].describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    except ClientError as refused:
        if is_code(refused, "LoadBalancerNotFound"):
            return False
        raise
    return any(entry["Key"] == ATTRIBUTE and entry["Value"] == "true" for entry in answer)
