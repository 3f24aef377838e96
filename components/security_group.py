"""A security group, declared without the SDK's module of it."""

from collections.abc import Mapping

import pulumi


class SecurityGroup(pulumi.CustomResource):
    """`aws:ec2/securityGroup:SecurityGroup`, as `pulumi_aws.ec2.SecurityGroup` declares it.

    Importing `pulumi_aws.ec2` takes as long as all else that the program imports, at every preview and `up`, and this is
    the one resource that would be taken from it.
    """

    def __init__(
        self,
        name: str,
        *,
        called: str,
        description: str,
        vpc_id: str,
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        inputs = {"name": called, "description": description, "vpcId": vpc_id, "tags": dict(tags)}
        super().__init__("aws:ec2/securityGroup:SecurityGroup", name, inputs, opts)
