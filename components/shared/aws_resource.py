"""Resources of AWS, declared without the resource classes of the SDK."""

from typing import Any

import pulumi


class AwsResource(pulumi.CustomResource):
    """A resource as the SDK's class of its type declares it, from inputs with the names that the state has.

    Importing `pulumi_aws.s3` takes a seventh of the program's processor time, at every preview and update. Its classes have
    thirty outputs each, of which the program uses one, and each output costs time in each tenant.
    """

    def __init__(self, token: str, name: str, opts: pulumi.ResourceOptions, **inputs: Any) -> None:
        """Declare the resource with the logical name `name`; `token` is its type, such as `aws:s3/bucket:Bucket`."""
        super().__init__(token, name, inputs, opts)


class Bucket(AwsResource):
    """A bucket of S3; `bucket` is the physical name."""

    bucket: pulumi.Output[str]
