"""The gateway: one Envoy Deployment, the only door to all tenants' data."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components import gateway_metrics
from components.access import KeyLimits
from components.gateway_config import CONFIG_FOLDER, HEALTH_PORT, LISTEN_PORT, MEMORY_MIB, GatewaySettings, bootstrap
from components.gateway_files import (
    ACCESS,
    TOKEN,
    WATCHED,
    WatchedFile,
    access_file,
    keys_file,
    limits_files,
)
from components.gateway_limits import GatewayLimits
from components.labels import labels, selector
from components.names import GATEWAY_NAMESPACE
from components.options import child, manifest
from components.versions import ENVOY_IMAGE
from components.workload import POD_SECURITY, RESTRICTED_NAMESPACE, container

REPLICAS = 2
DRAIN_SECONDS = 5
LOG_FLUSH_MILLISECONDS = "1000"  # of the access log; ten seconds by default


@dataclass(frozen=True)
class GatewayArgs:
    """`public_keys` maps a key id to PEM text; `node_port` is where the load balancer reaches every node.

    `key_limits` has the same keys; `revoked_tokens` are ids of tokens.
    """

    settings: GatewaySettings
    public_keys: Mapping[str, str]
    key_limits: Mapping[str, KeyLimits]
    revoked_tokens: Collection[str]
    limits: GatewayLimits
    node_port: int


class Gateway(pulumi.ComponentResource):
    """Namespace, configuration, keys, Deployment, Service and disruption budget."""

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:gateway:Gateway", name, None, opts)
        instance = args.settings.instance
        marks = labels("gateway", "gateway", instance)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=manifest(name=GATEWAY_NAMESPACE, labels=marks | RESTRICTED_NAMESPACE),
            opts=child(self),
        )
        within = namespace.metadata.name
        config = bootstrap(args.settings)
        contents = {"config": {"envoy.json": config}, **_parts(_files(args))}
        maps = [
            kubernetes.core.v1.ConfigMap(
                f"{name}-{part}",
                metadata=manifest(name=f"gateway-{part}", namespace=within, labels=marks),
                data=data,
                opts=child(self),
            )
            for part, data in contents.items()
        ]
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=manifest(name="gateway", namespace=within, labels=marks),
            spec=_deployment(instance, marks, config),
            opts=child(self, *maps),
        )
        kubernetes.core.v1.Service(
            f"{name}-service",
            metadata=manifest(name="gateway", namespace=within, labels=marks),
            spec=manifest(
                type="NodePort",
                selector=selector("gateway", instance),
                ports=[{"name": "http", "port": 80, "targetPort": "http", "nodePort": args.node_port}],
            ),
            opts=child(self),
        )
        kubernetes.policy.v1.PodDisruptionBudget(
            f"{name}-disruption-budget",
            metadata=manifest(name="gateway", namespace=within, labels=marks),
            spec=manifest(maxUnavailable=1, selector={"matchLabels": selector("gateway", instance)}),
            opts=child(self),
        )
        self.namespace = within
        self.register_outputs({"namespace": self.namespace})


def _files(args: GatewayArgs) -> dict[WatchedFile, str]:
    """Return the files that Envoy watches, with their content."""
    return {
        TOKEN: keys_file(args.settings.instance, args.public_keys),
        ACCESS: access_file(args.key_limits, args.revoked_tokens),
        **limits_files(args.limits, REPLICAS),
    }


def _parts(files: Mapping[WatchedFile, str]) -> dict[str, dict[str, str]]:
    """Return what the ConfigMaps of these files hold, by the files' part."""
    parts: dict[str, dict[str, str]] = {}
    for watched, content in files.items():
        parts.setdefault(watched.part, {})[watched.file] = content
    return parts


def _deployment(instance: str, marks: Mapping[str, str], config: str) -> Any:
    envoy = container(
        "envoy",
        ENVOY_IMAGE,
        [
            *("-c", f"{CONFIG_FOLDER}/envoy.json", "--disable-hot-restart", "--concurrency", "2"),
            *("--log-level", "warn", "--file-flush-interval-msec", LOG_FLUSH_MILLISECONDS),
        ],
        ports={"http": LISTEN_PORT, "health": HEALTH_PORT},
        probe=("/ready", "health"),
        requests={"cpu": "50m", "memory": "96Mi"},
        memory_limit=f"{MEMORY_MIB}Mi",
    )
    envoy["env"] = gateway_metrics.environment()
    envoy["lifecycle"] = {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}}  # until no node sends anything here
    folders = {"config": CONFIG_FOLDER} | {watched.part: watched.folder for watched in WATCHED}
    envoy["volumeMounts"] = [{"name": part, "mountPath": folder, "readOnly": True} for part, folder in folders.items()]
    apart = {"labelSelector": {"matchLabels": selector("gateway", instance)}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "replicas": REPLICAS,
        "selector": {"matchLabels": selector("gateway", instance)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {
                "labels": dict(marks),
                # Keys, limits and revocations reach a running Envoy by files that it watches; all else needs a new pod.
                "annotations": {"opstrace/config": hashlib.sha256(config.encode()).hexdigest()[:16]},
            },
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": POD_SECURITY,
                "terminationGracePeriodSeconds": 30,
                "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": apart}]
                    }
                },
                "containers": [envoy],
                "volumes": [{"name": part, "configMap": {"name": f"gateway-{part}"}} for part in folders],
            },
        },
    }
