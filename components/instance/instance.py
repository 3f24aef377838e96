"""An instance: the resources that its tenants share, and its own tenant `system`."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.collectors.collectors import Collectors
from components.collectors.rules.file import rule_file
from components.collectors.settings import CollectorsArgs
from components.config.load_balancer import LoadBalancerConfig
from components.config.stack import StackConfig
from components.core.names import SYSTEM, instance_domain
from components.core.resource_names import INSTANCE_TYPE
from components.core.tags import INSTANCE_TAG
from components.gateway.gateway import REPLICAS, Gateway, GatewayArgs
from components.gateway.settings import GatewaySettings
from components.instance.load_balancer import Entrance, EntranceArgs
from components.instance.trust_store import TrustStore, TrustStoreArgs
from components.shared.certificate import RECORD_TTL_SECONDS
from components.shared.options import child
from components.shared.target_group_binding import Binding
from components.tenant.base import TenantBase
from components.tenant.preview_notices import open_to_everybody
from components.tenant.tenant import Tenant, TenantArgs


@dataclass(frozen=True, kw_only=True)
class InstanceArgs:
    """The instance's name and the stack's configuration."""

    instance: str
    config: StackConfig


class Instance(pulumi.ComponentResource):
    """Hosted zone, trust store, load balancer, gateway, system tenant and collectors."""

    domain: str
    base: TenantBase
    name_servers: pulumi.Output[Sequence[str]]
    trusted_key_ids: list[str]

    def __init__(self, name: str, args: InstanceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(INSTANCE_TYPE, name, None, opts)
        config = args.config
        self._tags = {INSTANCE_TAG: args.instance, **config.tags}
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
        store = TrustStoreArgs(
            instance=args.instance,
            public_keys=keys,
            limits=limits,
            tags=self._tags,
            kms_key=config.aws.keys.secrets,
        )
        TrustStore(f"{name}-trust-store", store, child(self))
        self._zone_id = self._delegated(name, config.aws.parent_zone_id, zone)
        self._entrance = Entrance(f"{name}-entrance", self._entrance_args(args), child(self))
        Gateway(f"{name}-gateway", self._gateway_args(args), child(self))
        self.base = TenantBase(
            instance=args.instance,
            domain=self.domain,
            port=config.load_balancer.port,
            zone_id=self._zone_id,
            listener_arn=self._entrance.listener_arn,
            entrance_dns_name=self._entrance.dns_name,
            cluster=config.cluster,
            aws=config.aws,
            tags=self._tags,
            defaults=config.tenant_defaults,
            platform=config.platform,
        )
        self.name_servers = zone.name_servers
        self.trusted_key_ids = sorted(keys)
        self._args = args
        Tenant("system", self.tenant_args(SYSTEM), child(self))
        if config.collectors.enabled:
            Collectors("collectors", self._collectors_args(args), child(self))
        self.register_outputs({"domain": self.domain, "name_servers": self.name_servers})

    def _delegated(self, name: str, parent_zone_id: str | None, zone: aws.route53.Zone) -> pulumi.Output[str]:
        """Delegate the zone in its parent, if there is one; return the zone's id, known once resolvers can find it."""
        own = self._name_servers_record(name, zone)
        if parent_zone_id is None:
            return zone.zone_id
        record = aws.route53.Record(
            f"{name}-delegation-record",
            zone_id=parent_zone_id,
            name=self.domain,
            type="NS",
            records=zone.name_servers,
            ttl=RECORD_TTL_SECONDS,
            opts=child(self, own),  # resolvers must not find the zone while its own record has the long TTL
        )
        # ACM looks for the validation records soon after the request, so resolvers must find the zone before that.
        return pulumi.Output.all(zone.zone_id, record.id).apply(lambda parts: str(parts[0]))

    def _name_servers_record(self, name: str, zone: aws.route53.Zone) -> aws.route53.Record:
        """Declare the zone's NS record with a short TTL.

        Route 53 creates it with two days. That long, resolvers would look for an instance that was made again at the name
        servers of the zone before.
        """
        return aws.route53.Record(
            f"{name}-name-servers-record",
            zone_id=zone.zone_id,
            name=self.domain,
            type="NS",
            records=zone.name_servers,
            ttl=RECORD_TTL_SECONDS,
            allow_overwrite=True,
            # Route 53 refuses to delete it, and deletes it with the zone.
            opts=child(self, more=pulumi.ResourceOptions(retain_on_delete=True)),
        )

    def _gateway_args(self, args: InstanceArgs) -> GatewayArgs:
        api = args.config.data_api
        settings = GatewaySettings(
            instance=args.instance,
            domain=self.domain,
            authentication=api.authentication,
            legacy_push_errors=api.legacy_push_errors,
            address_connections=api.rates_per_address.connections,
            pods=REPLICAS,
        )
        return GatewayArgs(
            settings=settings,
            public_keys=api.pems,
            key_limits=api.limits,
            revoked_tokens=api.revoked_tokens,
            limits=api.gateway_limits,
            node_port=args.config.load_balancer.node_port,
            collected=args.config.collectors.metrics,
            binding=self._binding(args.config.load_balancer),
            pods=args.config.platform.gateway_pod_settings,
            cpu=args.config.pods.gateway.cpu,
            memory=args.config.pods.gateway.memory,
        )

    def _binding(self, balancer: LoadBalancerConfig) -> Binding | None:
        """Return how the gateway's pods become targets, None where nodes are the targets."""
        if balancer.targets == "nodes":
            return None
        return Binding(
            api_version=balancer.target_group_binding, target_group_arn=self._entrance.serving_target_group_arn
        )

    def _entrance_args(self, args: InstanceArgs) -> EntranceArgs:
        return EntranceArgs(
            instance=args.instance,
            domain=self.domain,
            zone_id=self._zone_id,
            allowed_cidrs=args.config.data_api.allowed_cidrs,
            node_security_group_id=args.config.cluster.node_security_group_id,
            load_balancer=args.config.load_balancer,
            eks_name=args.config.cluster.eks_name,
            tags=self._tags,
        )

    def tenant_args(self, tenant: str) -> TenantArgs:
        """Return the arguments of one of the configuration's tenants."""
        config = self._args.config
        is_system = tenant == SYSTEM
        return TenantArgs(
            base=self.base,
            tenant=tenant,
            settings=config.settings_of(tenant),
            collected=is_system and config.collectors.enabled,
            rules=self._rules() if is_system and config.collectors.evaluates_rules else None,
        )

    def _rules(self) -> str:
        """Return the platform's rule file."""
        limits = self._args.config.data_api.limits
        ends = {key: limit.not_after for key, limit in limits.items() if limit.not_after is not None}
        return rule_file(ends, self._args.config.collectors.rules.runbooks)

    def _collectors_args(self, args: InstanceArgs) -> CollectorsArgs:
        collectors = args.config.collectors
        return CollectorsArgs(
            instance=args.instance,
            domain=self.domain,
            logs=collectors.logs,
            metrics=collectors.metrics,
            excluded_namespaces=collectors.namespaces.exclude,
            extra_scrape=[scrape.scrape_job for scrape in collectors.extra_scrape],
            resources=collectors.resources.of_each_pod,
            queues=collectors.queues.of_each_pod,
            pods=args.config.platform.pod_settings,
        )
