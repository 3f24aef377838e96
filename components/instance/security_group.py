"""A security group, declared without the SDK's module `pulumi_aws.ec2`."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.core.resource_names import SECURITY_GROUP_TYPE


@dataclass(frozen=True, kw_only=True)
class SecurityGroupArgs:
    """The inputs of a security group; `name` is its physical name."""

    name: str
    description: str
    vpc_id: str
    tags: Mapping[str, str]


class SecurityGroup(pulumi.CustomResource):
    """`aws:ec2/securityGroup:SecurityGroup`, as `pulumi_aws.ec2.SecurityGroup` declares it.

    Importing that module takes as long as all other imports together, at every preview and update. The security group is
    the only resource that the program would use of it.
    """

    def __init__(self, name: str, args: SecurityGroupArgs, opts: pulumi.ResourceOptions) -> None:
        inputs = {
            "name": args.name,
            "description": args.description,
            "vpcId": args.vpc_id,
            "tags": dict(args.tags),
        }
        super().__init__(SECURITY_GROUP_TYPE, name, inputs, opts)
