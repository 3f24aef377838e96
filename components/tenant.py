"""A tenant: an isolated place for metrics and logs, with its own names, buckets, workloads and role."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components.alertmanager import Alertmanager, AlertmanagerArgs
from components.backend import SERVICE_ACCOUNT, Backend, StoreArgs
from components.buckets import BucketsArgs, declare_buckets, read_write_policy
from components.certificate import RECORD_TTL_SECONDS, CertificateArgs, validated_certificate
from components.cortex import Cortex
from components.identity import IdentityArgs, Issuer, declare_role
from components.labels import NAME_LABEL, labels
from components.loki import Loki
from components.names import ALERTMANAGER, APIS, GATEWAY_NAMESPACE, BucketKind, api_host, api_url, namespace, role_name
from components.options import child, manifest, protected
from components.tenant_config import TenantSettings, exported
from components.workload import RESTRICTED_NAMESPACE, Aws


@dataclass(frozen=True)
class TenantArgs:
    """What a tenant needs of its instance, as plain values, and its back ends.

    `port` is that of the tenants' APIs. `metrics` and `logs` declare a back end from its args: by default one of the
    tenant's own.
    """

    tenant: str
    settings: TenantSettings
    instance: str
    domain: str
    port: int
    zone_id: pulumi.Input[str]
    listener_arn: pulumi.Input[str]
    entrance_dns_name: pulumi.Input[str]
    issuer: Issuer
    enforces_network_policies: bool
    storage_class: str | None
    aws: Aws
    tags: Mapping[str, str]
    metrics: Callable[[str, StoreArgs, pulumi.ResourceOptions], Backend] = Cortex
    logs: Callable[[str, StoreArgs, pulumi.ResourceOptions], Backend] = Loki


class Tenant(pulumi.ComponentResource):
    """Everything of one tenant; nothing outside depends on any of it."""

    namespace: pulumi.Output[str]
    buckets: Mapping[BucketKind, pulumi.Output[str]]

    def __init__(self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:tenant:Tenant", name, None, protected(opts, on=args.settings.protect))
        self.namespace = self._namespace(name, args)
        self.buckets = declare_buckets(name, BucketsArgs(args.instance, args.tenant, args.settings, args.tags), self)
        identity = IdentityArgs(
            role_name(args.instance, args.tenant),
            args.tenant,
            SERVICE_ACCOUNT,
            args.issuer,
            pulumi.Output.all(*self.buckets.values()).apply(read_write_policy),
            args.tags,
        )
        role_arn = declare_role(name, identity, self)
        store = StoreArgs(
            args.instance,
            args.tenant,
            args.settings,
            self.namespace,
            self.buckets,
            role_arn,
            args.aws,
            args.storage_class,
        )
        backends = [args.metrics(f"{name}-cortex", store, child(self)), args.logs(f"{name}-loki", store, child(self))]
        if args.settings.alertmanager.enabled:
            url = api_url("cortex", args.tenant, args.domain, args.port)
            given = AlertmanagerArgs(store, args.issuer, url, args.tags, args.enforces_network_policies)
            backends.append(Alertmanager(f"{name}-alertmanager", given, child(self)))
        made = [*(backend.running for backend in backends), *self._names(name, args)]
        # When all is as they say, and not before: what is recorded tells the next update what it changes.
        settings = pulumi.Output.all(*made).apply(lambda _: exported(args.settings))
        self.register_outputs({"namespace": self.namespace, "buckets": dict(self.buckets), "settings": settings})

    def _namespace(self, name: str, args: TenantArgs) -> pulumi.Output[str]:
        marks = labels("tenant", "tenant", args.instance) | {"opstrace/tenant": args.tenant}
        owner = {"annotations": {"opstrace/owner": args.settings.owner}} if args.settings.owner else {}
        made = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=manifest(
                name=namespace(args.tenant),
                labels={**args.settings.labels, **marks, **RESTRICTED_NAMESPACE},
                **owner,
            ),
            opts=child(self),
        )
        within = made.metadata.name
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=manifest(name=SERVICE_ACCOUNT, namespace=within, labels=marks),
            automount_service_account_token=False,
            opts=child(self),
        )
        # The Alertmanager asks whom its configuration names, with the headers that this says.
        others = {"matchExpressions": [{"key": NAME_LABEL, "operator": "NotIn", "values": [ALERTMANAGER]}]}
        gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": GATEWAY_NAMESPACE}}}
        policy = kubernetes.networking.v1.NetworkPolicy(
            f"{name}-network-policy",
            metadata=manifest(name="gateway-only", namespace=within, labels=marks),
            spec=manifest(
                podSelector={},
                policyTypes=["Ingress"],
                ingress=[{"from": [gateway, {"podSelector": others}]}],
            ),
            opts=child(self),
        )
        # Whatever is put into the namespace comes after the policy that shuts it, and goes before it.
        return pulumi.Output.all(within, account.id, policy.id).apply(lambda parts: parts[0])

    def _names(self, name: str, args: TenantArgs) -> list[pulumi.Output[str]]:
        """Declare what leads to the tenant; return what is known once it does."""
        domain = f"{args.tenant}.{args.domain}"
        certificate = validated_certificate(name, CertificateArgs(domain, args.zone_id, args.tags), self)
        attached = aws.lb.ListenerCertificate(
            f"{name}-listener-certificate",
            listener_arn=args.listener_arn,
            certificate_arn=certificate.arn,
            opts=child(self),
        )
        records = [
            aws.route53.Record(
                f"{name}-{api}-record",
                zone_id=args.zone_id,
                name=api_host(api, args.tenant, args.domain),
                type="CNAME",
                records=[args.entrance_dns_name],
                ttl=RECORD_TTL_SECONDS,
                opts=child(self),
            )
            for api in APIS
        ]
        return [attached.id, *(record.id for record in records)]
