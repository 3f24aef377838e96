"""The settings of the AWS account: region, endpoints, the rules for IAM roles, and the keys."""

from typing import Annotated

from pydantic import Field, field_validator

from components.config.base import Section, endpoint_host, value_without_problems
from components.config.platform.kms_keys import NO_KEYS, KmsKeys

SERVICES = ("acm", "autoscaling", "ec2", "eks", "elbv2", "iam", "kms", "route53", "s3", "secretsmanager", "sts")
REGION_PATTERN = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
OTHER_PARTITIONS = ("gov", "iso")  # after the country, such as us-gov-west-1, us-iso-east-1 and eu-isoe-west-1
ZONE_PATTERN = r"^Z[A-Z0-9]+$"
BOUNDARY_PATTERN = r"^arn:aws:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+$"
ROLE_PATH_PATTERN = r"^/([A-Za-z0-9+=,.@_-]+/)*$"


class AwsConfig(Section):
    """Where the instance's resources in AWS are, and how AWS is reached."""

    region: Annotated[
        str,
        Field(
            description="Region of all resources, such as us-west-2. China and GovCloud are not supported.",
            pattern=REGION_PATTERN,
        ),
    ]
    parent_zone_id: Annotated[
        str | None,
        Field(
            description="Id of the hosted zone of `opstrace:domain`. The instance's zone is delegated in it. Without this "
            "setting, create the NS record yourself while the first update waits for its certificates.",
            pattern=ZONE_PATTERN,
        ),
    ] = None
    endpoints: Annotated[
        dict[str, str],
        Field(
            description=f"URLs to call in place of AWS's own, by service: {', '.join(SERVICES)}. "
            "Default: none, AWS's own endpoints."
        ),
    ] = {}
    ca_bundle: Annotated[
        str | None,
        Field(
            description="Certificates in PEM form. The back ends' pods trust these alone when they call AWS. "
            "Default: the public authorities of the image."
        ),
    ] = None

    permissions_boundary: Annotated[
        str | None,
        Field(
            description="ARN of the IAM policy that bounds what the roles of tenants may do. It must allow what their pods do in "
            "S3, and with `kmsKeys` in KMS. A change takes effect without a restart. Default: none.",
            pattern=BOUNDARY_PATTERN,
        ),
    ] = None
    role_path: Annotated[
        str | None,
        Field(
            description="Path of the roles of tenants in IAM, such as /observability/. A change replaces the roles and restarts "
            "the pods. Default: /.",
            pattern=ROLE_PATH_PATTERN,
            max_length=512,
        ),
    ] = None

    kms_keys: Annotated[
        KmsKeys | None, Field(description="KMS keys of buckets and secrets. Default: none, keys of AWS.")
    ] = None

    @property
    def keys(self) -> KmsKeys:
        """The KMS keys, which are none by default."""
        return self.kms_keys or NO_KEYS

    @field_validator("region")
    @classmethod
    def _partition(cls, region: str) -> str:
        if region.startswith("cn-") or region.split("-")[1].startswith(OTHER_PARTITIONS):
            raise ValueError(
                f"{region!r} is in another AWS partition, whose ARNs and host names are not supported; choose a region of "
                "the standard partition, such as us-west-2"
            )
        return region

    @field_validator("endpoints")
    @classmethod
    def _urls(cls, endpoints: dict[str, str]) -> dict[str, str]:
        unknown = [
            f"{name!r} is not a service that the instance uses; choose from {', '.join(SERVICES)}"
            for name in endpoints
            if name not in SERVICES
        ]
        no_urls = [
            f"{url!r} is not a URL such as https://192.0.2.1:8443"
            for url in endpoints.values()
            if endpoint_host(url) is None
        ]
        return value_without_problems(unknown + no_urls, endpoints)


def boundary_problem(aws: AwsConfig, account: str) -> str | None:
    """Return why the permissions boundary cannot bound roles of the account, None if it can or there is none."""
    arn = aws.permissions_boundary
    owner = arn.split(":")[4] if arn else "aws"
    if owner in ("aws", account):
        return None
    return (
        f"opstrace:aws.permissionsBoundary: {arn} is a policy of the account {owner}, but the roles are in {account}; name a policy "
        "of that account"
    )
