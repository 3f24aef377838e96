"""A tenant's Alertmanager: a Cortex that is nothing else, in a pod that has nothing to give away.

Whoever may write the tenant's metrics writes its configuration, and Cortex 1.21 puts any file of its pod that this names
into what it sends (`http_headers` of a receiver), and reaches private addresses by way of `oauth2` and of SMTP, at which
its own firewall does not look. So the pod has a service account and a role of its own, which open the Alertmanager's
objects alone, and leaves the cluster for public addresses only.
"""

import dataclasses
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.backend import (
    DATA_FOLDER,
    BackendArgs,
    StoreArgs,
    declare_backend,
    runtime_config,
    server,
)
from components.cortex import GRPC_PORT, cortex_limits, s3_storage
from components.identity import IdentityArgs, Issuer, declare_role
from components.labels import labels, selector
from components.names import ALERTMANAGER, ALERTMANAGER_PATH, PORTS, alerts_role_name
from components.notices import reaches_every_pod
from components.options import child, manifest
from components.tenant_config import BackendSize, TenantSettings
from components.versions import CORTEX_IMAGE
from components.workload import Aws

PREFIX = "alerts/"  # of the Alertmanager's objects, in the bucket `config`
SIZE = BackendSize.model_validate({"cpu": "10m", "memory": "64Mi", "memoryLimit": "512Mi", "volume": "1Gi"})
DNS_PORT = 53
USED = ("s3", "sts")  # services of AWS
# What is nobody's address on the Internet (IANA, 'Special-Purpose Address Registry'): the cluster, the VPC, the node.
PRIVATE = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4"),
)
IPV6 = "::/0"  # all of it: nothing is allowed there by the policy either


@dataclass(frozen=True)
class AlertmanagerArgs:
    """`store` is the tenant's; `url` that of its Cortex API, below which the Alertmanager answers."""

    store: StoreArgs
    issuer: Issuer
    url: str
    tags: Mapping[str, str]
    enforces_network_policies: bool


def blocked_ranges(allowed: Iterable[str]) -> list[str]:
    """Return the private IPv4 ranges without those that are allowed, in CIDR form."""
    blocked = [ipaddress.IPv4Network(text) for text in PRIVATE]
    for network in map(ipaddress.IPv4Network, allowed):
        blocked = [part for whole in blocked for part in _without(whole, network)]
    return [str(network) for network in sorted(blocked)]


def _without(whole: ipaddress.IPv4Network, network: ipaddress.IPv4Network) -> Iterable[ipaddress.IPv4Network]:
    if network.supernet_of(whole):
        return ()
    return whole.address_exclude(network) if network.subnet_of(whole) else (whole,)


def alertmanager_limits(settings: TenantSettings) -> dict[str, Any]:
    """Return what the tenant's Alertmanager is allowed, under Cortex's names."""
    own = {name: value for name, value in cortex_limits(settings).items() if name.startswith(ALERTMANAGER)}
    blocked = [*blocked_ranges(settings.alertmanager.private_receivers), IPV6]
    return own | {"alertmanager_receivers_firewall_block_cidr_networks": ",".join(blocked)}


def alertmanager_config(store: StoreArgs, config_bucket: str, url: str) -> dict[str, Any]:
    """Return the configuration of a Cortex that is an Alertmanager; `url`: that of the tenant's Cortex API."""
    return {
        "target": "alertmanager",
        "auth_enabled": True,
        "server": server(PORTS["cortex"], GRPC_PORT),
        "runtime_config": runtime_config(),
        "alertmanager": {
            "external_url": f"{url}{ALERTMANAGER_PATH}",
            "enable_api": True,
            "enabled_tenants": store.tenant,  # a configuration says itself whose it is
            "data_dir": f"{DATA_FOLDER}/alertmanager",
            "cluster": {"listen_address": ""},  # of one
        },
        "alertmanager_storage": s3_storage(store.aws, config_bucket),
    }


def alerts_policy(tenant: str, bucket: str) -> str:
    """Return the IAM policy that reads and writes the Alertmanager's own objects and nothing else, as JSON.

    It lists the names of all: S3 says of what is not there that it is forbidden to whoever may not list it.
    """
    arn = f"arn:aws:s3:::{bucket}"
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/{PREFIX}*"},
        {"Effect": "Allow", "Action": objects, "Resource": f"{arn}/{PREFIX}{tenant}"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def egress(aws: Aws, allowed: Iterable[str]) -> list[dict[str, Any]]:
    """Return what the pod may reach: name servers, public addresses, and what is said to be allowed.

    AWS too where it is not AWS's own and has a private address.
    """
    endpoints = (re.match(r"https?://(\d+\.\d+\.\d+\.\d+)(?=[:/]|$)", aws.endpoints.get(name, "")) for name in USED)
    addresses = {*(alias["ip"] for alias in aws.host_aliases), *(found[1] for found in endpoints if found)}
    public = {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}
    named = [{"cidr": text} for text in (*allowed, *(f"{address}/32" for address in sorted(addresses)))]
    return [
        {"ports": [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]},
        {"to": [{"ipBlock": block} for block in (public, *named)]},
    ]


class Alertmanager(pulumi.ComponentResource):
    """The Alertmanager of a tenant that has one.

    One pod, however many the tenant's back ends have: the ruler sends what fires once a minute, and what it could not send
    again. Silences and what was notified are on its volume (Cortex keeps them in the bucket for three pods or more alone).
    """

    service: str
    running: pulumi.Output[str]

    def __init__(self, name: str, args: AlertmanagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:alertmanager:Alertmanager", name, None, opts)
        if not args.enforces_network_policies:
            reaches_every_pod(args.store.tenant)
        bucket = args.store.buckets["config"]
        backend = BackendArgs(
            program=ALERTMANAGER,
            image=CORTEX_IMAGE,
            component="alerts",
            replicas=1,
            config=bucket.apply(lambda found: json.dumps(alertmanager_config(args.store, found, args.url), indent=1)),
            limits=alertmanager_limits(args.store.settings),
            http_port=PORTS["cortex"],
            size=SIZE,
            store=self._apart(name, args),
            environment={"TMPDIR": DATA_FOLDER},  # in which it tries new configurations
        )
        self.running = declare_backend(name, backend, self)
        self.service = ALERTMANAGER
        self.register_outputs({"service": self.service})

    def _apart(self, name: str, args: AlertmanagerArgs) -> StoreArgs:
        """Declare who the pod is and what it may reach; return the tenant's store as it has it."""
        store = args.store
        marks = labels(ALERTMANAGER, "alerts", store.instance)
        metadata = manifest(name=ALERTMANAGER, namespace=store.namespace, labels=marks)
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=metadata,
            automount_service_account_token=False,
            opts=child(self),
        )
        policy = kubernetes.networking.v1.NetworkPolicy(
            f"{name}-network-policy",
            metadata=metadata,
            spec=manifest(
                podSelector={"matchLabels": selector(ALERTMANAGER, store.instance)},
                policyTypes=["Egress"],
                egress=egress(store.aws, store.settings.alertmanager.private_receivers),
            ),
            opts=child(self),
        )
        identity = IdentityArgs(
            alerts_role_name(store.instance, store.tenant),
            store.tenant,
            ALERTMANAGER,
            args.issuer,
            store.buckets["config"].apply(lambda bucket: alerts_policy(store.tenant, bucket)),
            args.tags,
        )
        return dataclasses.replace(
            store,
            namespace=pulumi.Output.all(store.namespace, account.id, policy.id).apply(lambda parts: parts[0]),
            role_arn=declare_role(name, identity, self),
            service_account=ALERTMANAGER,
        )
