"""All resource types of the AWS stand-in, by type token."""

from localcloud.plugins.aws import acm, autoscaling, ec2, elbv2, iam, route53, s3, secretsmanager
from localcloud.plugins.aws.api import ResourceType

TYPES: dict[str, ResourceType] = {
    **acm.TYPES,
    **autoscaling.TYPES,
    **ec2.TYPES,
    **elbv2.TYPES,
    **iam.TYPES,
    **route53.TYPES,
    **s3.TYPES,
    **secretsmanager.TYPES,
}
