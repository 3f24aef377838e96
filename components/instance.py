"""An instance: the shared base of its tenants, and its own tenant `system`."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.certificate import RECORD_TTL_SECONDS
from components.config import StackConfig
from components.entrance import Entrance, EntranceArgs
from components.gateway import Gateway, GatewayArgs
from components.gateway_config import GatewaySettings
from components.names import SYSTEM, instance_domain
from components.notices import open_to_everybody
from components.options import child
from components.tenant import Tenant, TenantArgs
from components.tenant_base import TenantBase
from components.trust_store import TrustStore, TrustStoreArgs


@dataclass(frozen=True)
class InstanceArgs:
    """The instance's name and the stack's configuration."""

    instance: str
    config: StackConfig


class Instance(pulumi.ComponentResource):
    """Hosted zone, trust store, load balancer, gateway and system tenant."""

    domain: str
    base: TenantBase
    name_servers: pulumi.Output[Sequence[str]]
    trusted_key_ids: list[str]

    def __init__(self, name: str, args: InstanceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:instance:Instance", name, None, opts)
        config = args.config
        self._tags = {"opstrace:instance": args.instance, **config.tags}
        self.domain = instance_domain(args.instance, config.domain)
        if not config.data_api.authentication:
            open_to_everybody(self.domain)
        zone = aws.route53.Zone(
            f"{name}-zone",
            name=self.domain,
            comment=f"Opstrace instance {args.instance}",
            tags=self._tags,
            opts=child(self),
        )
        keys, limits = config.data_api.pems, config.data_api.limits
        TrustStore(f"{name}-trust-store", TrustStoreArgs(args.instance, keys, limits, self._tags), child(self))
        self._zone_id = self._delegated(name, config.aws.parent_zone_id, zone)
        self._entrance = Entrance(f"{name}-entrance", self._entrance_args(args), child(self))
        settings = GatewaySettings(
            args.instance, self.domain, config.data_api.authentication, config.data_api.legacy_push_errors
        )
        api, port = config.data_api, config.load_balancer.node_port
        gateway = GatewayArgs(settings, keys, limits, api.revoked_tokens, api.gateway_limits, port)
        Gateway(f"{name}-gateway", gateway, child(self))
        self.base = TenantBase(
            args.instance,
            self.domain,
            config.load_balancer.port,
            self._zone_id,
            self._entrance.listener_arn,
            self._entrance.dns_name,
            config.cluster,
            config.aws,
            self._tags,
            config.tenant_defaults,
        )
        self.name_servers = zone.name_servers
        self.trusted_key_ids = sorted(keys)
        self._args = args
        Tenant("system", self.tenant_args(SYSTEM), child(self))
        self.register_outputs({"domain": self.domain, "name_servers": self.name_servers})

    def _delegated(self, name: str, parent_zone_id: str | None, zone: aws.route53.Zone) -> pulumi.Output[str]:
        """Delegate the zone in its parent, if one is given; return the zone's id once names in it can be found."""
        if parent_zone_id is None:
            return zone.zone_id
        record = aws.route53.Record(
            f"{name}-delegation-record",
            zone_id=parent_zone_id,
            name=self.domain,
            type="NS",
            records=zone.name_servers,
            ttl=RECORD_TTL_SECONDS,
            opts=child(self),
        )
        # ACM asks for validation records soon after a certificate is requested: not before they can be found.
        return pulumi.Output.all(zone.zone_id, record.id).apply(lambda parts: str(parts[0]))

    def _entrance_args(self, args: InstanceArgs) -> EntranceArgs:
        return EntranceArgs(
            instance=args.instance,
            domain=self.domain,
            zone_id=self._zone_id,
            allowed_cidrs=args.config.data_api.allowed_cidrs,
            node_security_group_id=args.config.cluster.node_security_group_id,
            load_balancer=args.config.load_balancer,
            tags=self._tags,
        )

    def tenant_args(self, tenant: str) -> TenantArgs:
        """Return what a tenant called `tenant` needs of this instance."""
        return self.base.tenant_args(tenant, self._args.config.settings_of(tenant))
