"""A tenant's Alertmanager: a Cortex that runs this part alone, in an isolated pod.

Everybody who may write the tenant's metrics may write the Alertmanager's configuration. With it, Cortex 1.21 sends any
file of its pod (`http_headers` of a receiver). It also reaches private addresses through `oauth2` and SMTP, which its
own firewall does not check. So the pod has its own service account and role, which open the Alertmanager's objects
alone. Its network policy admits connections to public addresses only.
"""

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.config.base import endpoint_host
from components.config.tenant import BackendSize, TenantSettings
from components.core.images import CORTEX_IMAGE
from components.core.labels import labels, selector
from components.core.names import ALERTMANAGER, ALERTMANAGER_PATH, PORTS, alerts_role_name
from components.core.resource_names import ALERTMANAGER_TYPE, NETWORK_POLICY_TYPE, SERVICE_ACCOUNT_TYPE
from components.shared.kubernetes_object import KubernetesObject
from components.shared.network_policies import ingress_of_tenant
from components.shared.options import child, manifest
from components.shared.pods import Aws
from components.tenant.back_ends.backend import DATA_FOLDER, BackendArgs, declare_backend
from components.tenant.back_ends.cortex import GRPC_PORT, cortex_limits, s3_storage
from components.tenant.back_ends.shared_blocks import rule_poll, runtime_config, server
from components.tenant.back_ends.store import StoreArgs
from components.tenant.encryption import NO_OBJECT_KEYS, ObjectKeys
from components.tenant.iam_role import IdentityArgs, Issuer, RoleRules, bucket_policy, declare_role
from components.tenant.preview_notices import reaches_every_pod

PREFIX = "alerts/"  # of the Alertmanager's objects in the bucket `config`
SIZE = BackendSize.model_validate({"cpu": "10m", "memory": "64Mi", "memoryLimit": "512Mi", "volume": "1Gi"})
DNS_PORT = 53
AWS_SERVICES = ("s3", "sts")  # that the pod calls
# Addresses that are not on the Internet (IANA, 'Special-Purpose Address Registry'), such as the cluster's and the VPC's.
PRIVATE = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4"),
)
IPV6 = "::/0"  # every IPv6 address; the network policy allows IPv4 only


@dataclass(frozen=True, kw_only=True)
class AlertmanagerArgs:
    """The tenant whose alerts the Alertmanager sends.

    Attributes:
        store: the tenant's store.
        issuer: the issuer of the cluster's service account tokens.
        rules: what the account wants of the role.
        keys: the keys of the objects in the tenant's buckets.
        url: the URL of the tenant's Cortex API; the Alertmanager answers below it.
        tags: the tags of the role.
        enforces_network_policies: whether the cluster's network plugin enforces them.
    """

    store: StoreArgs
    issuer: Issuer
    rules: RoleRules
    keys: ObjectKeys
    url: str
    tags: Mapping[str, str]
    enforces_network_policies: bool


def blocked_ranges(allowed: Iterable[str]) -> list[str]:
    """Return the private IPv4 ranges except the allowed ones, in CIDR form."""
    blocked = [ipaddress.IPv4Network(text) for text in PRIVATE]
    for network in map(ipaddress.IPv4Network, allowed):
        blocked = [part for private in blocked for part in _without(private, network)]
    return [str(network) for network in sorted(blocked)]


def _without(private: ipaddress.IPv4Network, network: ipaddress.IPv4Network) -> Iterable[ipaddress.IPv4Network]:
    if network.supernet_of(private):
        return ()
    return private.address_exclude(network) if network.subnet_of(private) else (private,)


def alertmanager_limits(settings: TenantSettings) -> dict[str, Any]:
    """Return the limits of the tenant's Alertmanager, under Cortex's names."""
    own = {name: value for name, value in cortex_limits(settings).items() if name.startswith(ALERTMANAGER)}
    blocked = [*blocked_ranges(settings.alertmanager.private_receivers), IPV6]
    return own | {"alertmanager_receivers_firewall_block_cidr_networks": ",".join(blocked)}


def alertmanager_config(store: StoreArgs, config_bucket: str, url: str) -> dict[str, Any]:
    """Return the configuration of a Cortex that runs an Alertmanager; `url` is that of the tenant's Cortex API."""
    return {
        "target": "alertmanager",
        "auth_enabled": True,
        "server": server(PORTS["cortex"], GRPC_PORT),
        "runtime_config": runtime_config(),
        "alertmanager": {
            "external_url": f"{url}{ALERTMANAGER_PATH}",
            "enable_api": True,
            "enabled_tenants": store.tenant,  # a stored configuration names its tenant itself
            "data_dir": f"{DATA_FOLDER}/alertmanager",
            "cluster": {"listen_address": ""},  # there is one pod
            **rule_poll(store),
        },
        "alertmanager_storage": s3_storage(store.aws, config_bucket),
    }


def alerts_policy(tenant: str, bucket: str, account: str, keys: ObjectKeys = NO_OBJECT_KEYS) -> str:
    """Return the IAM policy that reads and writes the Alertmanager's own objects and nothing else, as JSON.

    It also lists the bucket: without that permission, S3 answers 403 instead of 404 for a missing object.
    """
    arn = f"arn:aws:s3:::{bucket}"
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    return bucket_policy(
        account,
        ("s3:ListBucket", arn),
        ("s3:GetObject", f"{arn}/{PREFIX}*"),
        (objects, f"{arn}/{PREFIX}{tenant}"),
        keys=keys.statements([arn, f"{arn}/{PREFIX}*"]),
    )


def _is_ipv4(host: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(host))
    except ValueError:
        return False


def egress(aws: Aws, allowed: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rules for the pod's connections: to name servers, public addresses and the allowed ranges.

    Endpoints in the place of AWS are allowed too, if they have a private address.
    """
    hosts = (endpoint_host(aws.endpoints.get(name, "")) or "" for name in AWS_SERVICES)
    addresses = {*(alias["ip"] for alias in aws.host_aliases), *(host for host in hosts if _is_ipv4(host))}
    public = {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}
    named = [{"cidr": text} for text in (*allowed, *(f"{address}/32" for address in sorted(addresses)))]
    return [
        {"ports": [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]},
        {"to": [{"ipBlock": block} for block in (public, *named)]},
    ]


class Alertmanager(pulumi.ComponentResource):
    """The Alertmanager of a tenant.

    It has one pod even if the back ends have three: the ruler sends firing alerts once a minute, and again if that fails.
    Silences and the log of notifications are on the pod's volume; Cortex keeps them in the bucket only for three pods.
    """

    service: str
    running: pulumi.Output[str]

    def __init__(self, name: str, args: AlertmanagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(ALERTMANAGER_TYPE, name, None, opts)
        if not args.enforces_network_policies:
            reaches_every_pod(args.store.tenant)
        bucket = args.store.buckets["config"]
        backend = BackendArgs(
            program=ALERTMANAGER,
            image=args.store.pods.images.pinned(CORTEX_IMAGE, args.store.domain),
            component="alerts",
            replicas=1,
            config=bucket.apply(lambda name: alertmanager_config(args.store, name, args.url)),
            limits=alertmanager_limits(args.store.settings),
            http_port=PORTS["cortex"],
            size=SIZE,
            store=self._isolated(name, args),
            environment={"TMPDIR": DATA_FOLDER},  # where Cortex tries new configurations
        )
        self.running = declare_backend(name, backend, self)
        self.service = ALERTMANAGER
        self.register_outputs({"service": self.service})

    def _isolated(self, name: str, args: AlertmanagerArgs) -> StoreArgs:
        """Declare the pod's identity and network policy; return the tenant's store with that identity."""
        store = args.store
        own_labels = labels(ALERTMANAGER, "alerts", store.instance)
        metadata = manifest(name=ALERTMANAGER, namespace=store.namespace, labels=own_labels)
        account = KubernetesObject(
            SERVICE_ACCOUNT_TYPE,
            f"{name}-service-account",
            metadata=metadata | store.pods.annotations(),
            automountServiceAccountToken=False,
            opts=child(self),
        )
        policy = KubernetesObject(
            NETWORK_POLICY_TYPE,
            f"{name}-network-policy",
            metadata=metadata,
            spec=manifest(
                podSelector={"matchLabels": selector(ALERTMANAGER, store.instance)},
                policyTypes=["Ingress", "Egress"],
                ingress=ingress_of_tenant(),
                egress=egress(store.aws, store.settings.alertmanager.private_receivers),
            ),
            opts=child(self),
        )
        identity = IdentityArgs(
            role=alerts_role_name(store.instance, store.tenant),
            tenant=store.tenant,
            service_account=ALERTMANAGER,
            issuer=args.issuer,
            rules=args.rules,
            policy=store.buckets["config"].apply(
                lambda bucket: alerts_policy(store.tenant, bucket, args.issuer.account, args.keys)
            ),
            tags=args.tags,
        )
        return dataclasses.replace(
            store,
            namespace=pulumi.Output.all(store.namespace, account.id, policy.id).apply(lambda parts: parts[0]),
            role_arn=declare_role(name, identity, self),
            service_account=ALERTMANAGER,
        )
