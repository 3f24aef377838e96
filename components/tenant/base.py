"""The facts of an instance that its tenants need.

An instance exports them, so that a tenant in a stack of its own can read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.config.platform.aws import AwsConfig
from components.config.platform.settings import NO_PLATFORM, PlatformSettings
from components.config.stack import ClusterConfig
from components.config.tenant import TenantSettings
from components.shared.pods import Aws
from components.tenant.encryption import ObjectKeys
from components.tenant.iam_role import Issuer, RoleRules


@dataclass(frozen=True, kw_only=True)
class TenantBase:
    """The facts of an instance that its tenants need.

    Attributes:
        instance: the name of the instance.
        domain: the instance's own domain.
        port: the port of the tenants' APIs.
        zone_id: the hosted zone of the domain.
        listener_arn: the listener to which tenants attach their certificates.
        entrance_dns_name: the DNS name of the load balancer.
        tags: the tags of all resources of the instance in AWS.
        defaults: the settings of a tenant where it has none of its own.
        platform: what the platform wants of all pods.
    """

    instance: str
    domain: str
    port: int
    zone_id: pulumi.Input[str]
    listener_arn: pulumi.Input[str]
    entrance_dns_name: pulumi.Input[str]
    cluster: ClusterConfig
    aws: AwsConfig
    tags: Mapping[str, str]
    defaults: TenantSettings
    platform: PlatformSettings = NO_PLATFORM

    def exported(self) -> dict[str, Any]:
        """Return the stack output that `imported` reads, without platform settings that are not set."""
        platform = self.platform.exported()
        return {
            "instance": self.instance,
            "domain": self.domain,
            "port": self.port,
            "zoneId": self.zone_id,
            "listenerArn": self.listener_arn,
            "entranceDnsName": self.entrance_dns_name,
            "cluster": self.cluster.model_dump(by_alias=True, exclude_none=True),
            "aws": self.aws.model_dump(by_alias=True, exclude_none=True),
            "tags": dict(self.tags),
            "tenantDefaults": self.defaults.model_dump(by_alias=True, exclude_unset=True),
            **({"platform": platform} if platform else {}),
        }

    @classmethod
    def imported(cls, output: Mapping[str, Any]) -> "TenantBase":
        """Return the facts from the output that `exported` made."""
        return cls(
            instance=output["instance"],
            domain=output["domain"],
            port=int(output["port"]),
            zone_id=output["zoneId"],
            listener_arn=output["listenerArn"],
            entrance_dns_name=output["entranceDnsName"],
            cluster=ClusterConfig.model_validate(output["cluster"]),
            aws=AwsConfig.model_validate(output["aws"]),
            tags=output["tags"],
            defaults=TenantSettings.model_validate(output["tenantDefaults"]),
            platform=PlatformSettings.model_validate(output.get("platform", {})),
        )

    @property
    def issuer(self) -> Issuer:
        """The issuer of the cluster's service account tokens."""
        return Issuer(provider_arn=self.cluster.oidc_provider_arn, url=self.cluster.oidc_issuer)

    @property
    def role_rules(self) -> RoleRules:
        """What the account wants of the roles of tenants."""
        return RoleRules(path=self.aws.role_path, permissions_boundary=self.aws.permissions_boundary)

    @property
    def object_keys(self) -> ObjectKeys:
        """The keys of the objects in the buckets of tenants."""
        return ObjectKeys(keys=self.aws.keys, region=self.aws.region)

    @property
    def pod_aws(self) -> Aws:
        """How the pods of tenants reach AWS."""
        aliases = [alias.model_dump() for alias in self.cluster.host_aliases]
        return Aws(
            region=self.aws.region,
            endpoints=self.aws.endpoints,
            ca_bundle=self.aws.ca_bundle,
            host_aliases=aliases,
        )
