"""A tenant: isolated metrics and logs, with host names, buckets, workloads and a role of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.config.tenant import TenantSettings, exported
from components.core.labels import labels
from components.core.names import (
    APIS,
    BucketKind,
    api_host,
    api_url,
    namespace,
    role_name,
)
from components.core.resource_names import NAMESPACE_TYPE, NETWORK_POLICY_TYPE, SERVICE_ACCOUNT_TYPE, TENANT_TYPE
from components.core.tags import OWNER_ANNOTATION, OWNER_TAG, TENANT_LABEL, TENANT_TAG
from components.shared.certificate import RECORD_TTL_SECONDS, CertificateArgs, validated_certificate
from components.shared.kubernetes_object import KubernetesObject
from components.shared.network_policies import (
    NOT_ALERTMANAGER,
    egress_without_metadata,
    ingress_of_collectors,
    ingress_of_tenant,
)
from components.shared.options import child, manifest, protected
from components.shared.pods import NAMESPACE_POD_SECURITY
from components.tenant.back_ends.alertmanager import Alertmanager, AlertmanagerArgs
from components.tenant.back_ends.cortex import Cortex
from components.tenant.back_ends.loki import Loki
from components.tenant.back_ends.store import SERVICE_ACCOUNT, Backend, StoreArgs
from components.tenant.base import TenantBase
from components.tenant.buckets import BucketsArgs, declare_buckets, read_write_policy
from components.tenant.encryption import EncryptionArgs, declare_encryption
from components.tenant.iam_role import IdentityArgs, declare_role


@dataclass(frozen=True, kw_only=True)
class TenantArgs:
    """A tenant, and the instance that it belongs to.

    Attributes:
        base: the facts of the instance.
        settings: the tenant's settings with the instance's defaults in them.
        collected: whether the collectors send to it without a token; of the system tenant alone.
        rules: the platform's rules; of the system tenant alone.
        metrics: declares the back end of metrics; by default a Cortex of the tenant's own.
        logs: declares the back end of logs; by default a Loki of the tenant's own.
    """

    base: TenantBase
    tenant: str
    settings: TenantSettings
    collected: bool = False
    rules: str | None = None
    metrics: Callable[[str, StoreArgs, pulumi.ResourceOptions], Backend] = Cortex
    logs: Callable[[str, StoreArgs, pulumi.ResourceOptions], Backend] = Loki

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the tenant's resources in AWS."""
        owner = {OWNER_TAG: self.settings.owner} if self.settings.owner else {}
        return {**self.base.tags, **self.settings.tags, **owner, TENANT_TAG: self.tenant}


class Tenant(pulumi.ComponentResource):
    """All resources of one tenant. No resource of another tenant or the instance depends on them."""

    namespace: pulumi.Output[str]
    buckets: Mapping[BucketKind, pulumi.Output[str]]

    def __init__(self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TENANT_TYPE, name, None, protected(opts, on=args.settings.protect))
        self.namespace = self._namespace(name, args)
        base, tags = args.base, args.tags
        buckets = BucketsArgs(
            instance=base.instance,
            tenant=args.tenant,
            settings=args.settings,
            tags=tags,
            former_keys=base.aws.keys.former,
        )
        names = declare_buckets(name, buckets, self)
        identity = IdentityArgs(
            role=role_name(base.instance, args.tenant),
            tenant=args.tenant,
            service_account=SERVICE_ACCOUNT,
            issuer=base.issuer,
            rules=base.role_rules,
            policy=pulumi.Output.all(*names.values()).apply(
                lambda names: read_write_policy(names, base.issuer.account, base.object_keys)
            ),
            tags=tags,
        )
        role_arn = declare_role(name, identity, self)
        # The role may use a new key before the buckets use it, and no pod writes before that.
        encryption = EncryptionArgs(keys=base.aws.keys, allowed=role_arn, retain=args.settings.on_delete == "retain")
        self.buckets = declare_encryption(name, encryption, names, self)
        store = StoreArgs(
            instance=base.instance,
            tenant=args.tenant,
            settings=args.settings,
            namespace=self.namespace,
            buckets=self.buckets,
            role_arn=role_arn,
            aws=base.pod_aws,
            storage_class=base.cluster.storage_class,
            domain=base.domain,
            pods=base.platform.pod_settings,
            rules=args.rules,
        )
        backends = [args.metrics(f"{name}-cortex", store, child(self)), args.logs(f"{name}-loki", store, child(self))]
        if args.settings.alertmanager.enabled:
            alertmanager = AlertmanagerArgs(
                store=store,
                issuer=base.issuer,
                rules=base.role_rules,
                keys=base.object_keys,
                url=api_url("cortex", args.tenant, base.domain, base.port),
                tags=tags,
                enforces_network_policies=bool(base.cluster.enforces_network_policies),
            )
            backends.append(Alertmanager(f"{name}-alertmanager", alertmanager, child(self)))
        running = [*(backend.running for backend in backends), *self._names(name, args)]
        # The settings are recorded once everything runs. From them, the next preview tells what it changes.
        settings = pulumi.Output.all(*running).apply(lambda _: exported(args.settings))
        self.register_outputs({"namespace": self.namespace, "buckets": dict(self.buckets), "settings": settings})

    def _namespace(self, name: str, args: TenantArgs) -> pulumi.Output[str]:
        own_labels = labels("tenant", "tenant", args.base.instance) | {TENANT_LABEL: args.tenant}
        owner = {"annotations": {OWNER_ANNOTATION: args.settings.owner}} if args.settings.owner else {}
        resource = KubernetesObject(
            NAMESPACE_TYPE,
            f"{name}-namespace",
            metadata=manifest(
                name=namespace(args.tenant),
                labels={**args.settings.labels, **own_labels, **NAMESPACE_POD_SECURITY},
                **owner,
            ),
            opts=child(self),
        )
        physical_name = resource.physical_name
        account = KubernetesObject(
            SERVICE_ACCOUNT_TYPE,
            f"{name}-service-account",
            metadata=manifest(
                name=SERVICE_ACCOUNT,
                namespace=physical_name,
                labels=own_labels,
                **args.base.platform.pod_settings.annotations(),
            ),
            automountServiceAccountToken=False,
            opts=child(self),
        )
        # The Alertmanager has a policy of its own.
        policy = KubernetesObject(
            NETWORK_POLICY_TYPE,
            f"{name}-network-policy",
            metadata=manifest(name="gateway-only", namespace=physical_name, labels=own_labels),
            spec=manifest(
                podSelector=NOT_ALERTMANAGER,
                policyTypes=["Ingress", "Egress"],
                ingress=[*ingress_of_tenant(), *(ingress_of_collectors() if args.collected else [])],
                egress=egress_without_metadata(),
            ),
            opts=child(self),
        )
        # Everything in the namespace is created after the policy that closes it, and deleted before it.
        return pulumi.Output.all(physical_name, account.id, policy.id).apply(lambda parts: parts[0])

    def _names(self, name: str, args: TenantArgs) -> list[pulumi.Output[str]]:
        """Declare the certificate and the DNS records; return outputs that are known once they exist."""
        base = args.base
        domain = f"{args.tenant}.{base.domain}"
        request = CertificateArgs(domain=domain, zone_id=base.zone_id, tags=args.tags)
        certificate = validated_certificate(name, request, self)
        attachment = aws.lb.ListenerCertificate(
            f"{name}-listener-certificate",
            listener_arn=base.listener_arn,
            certificate_arn=certificate.arn,
            opts=child(self),
        )
        records = [
            aws.route53.Record(
                f"{name}-{api}-record",
                zone_id=base.zone_id,
                name=api_host(api, args.tenant, base.domain),
                type="CNAME",
                records=[base.entrance_dns_name],
                ttl=RECORD_TTL_SECONDS,
                opts=child(self),
            )
            for api in APIS
        ]
        return [attachment.id, *(record.id for record in records)]
