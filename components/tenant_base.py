"""What a tenant needs of its instance: in the instance's own stack, and as that exports it for tenants with a stack of theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.config import AwsConfig, ClusterConfig
from components.identity import Issuer
from components.tenant import TenantArgs
from components.tenant_config import TenantSettings
from components.workload import Aws


@dataclass(frozen=True)
class TenantBase:
    """Facts of an instance; `domain` is its own, `port` that of the tenants' APIs."""

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

    def exported(self) -> dict[str, Any]:
        """Return the output from which `imported` makes the same again."""
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
        }

    @classmethod
    def imported(cls, output: Mapping[str, Any]) -> "TenantBase":
        """Return the base that an instance's stack exported."""
        return cls(
            output["instance"],
            output["domain"],
            int(output["port"]),
            output["zoneId"],
            output["listenerArn"],
            output["entranceDnsName"],
            ClusterConfig.model_validate(output["cluster"]),
            AwsConfig.model_validate(output["aws"]),
            output["tags"],
            TenantSettings.model_validate(output["tenantDefaults"]),
        )

    def tenant_args(self, tenant: str, settings: TenantSettings) -> TenantArgs:
        """Return the arguments of a tenant called `tenant`; `settings` have the defaults in them already."""
        owner = {"opstrace:owner": settings.owner} if settings.owner else {}
        aliases = [alias.model_dump() for alias in self.cluster.host_aliases]
        return TenantArgs(
            tenant=tenant,
            settings=settings,
            instance=self.instance,
            domain=self.domain,
            port=self.port,
            zone_id=self.zone_id,
            listener_arn=self.listener_arn,
            entrance_dns_name=self.entrance_dns_name,
            enforces_network_policies=bool(self.cluster.enforces_network_policies),
            issuer=Issuer(self.cluster.oidc_provider_arn, self.cluster.oidc_issuer),
            storage_class=self.cluster.storage_class,
            aws=Aws(self.aws.region, self.aws.endpoints, self.aws.ca_bundle, aliases),
            tags={**self.tags, **settings.tags, **owner, "opstrace:tenant": tenant},
        )
