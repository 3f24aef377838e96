"""The gateway: one Envoy Deployment, through which all requests to tenants' data go."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.core.images import ENVOY_IMAGE
from components.core.labels import labels, selector
from components.core.names import GATEWAY_NAMESPACE
from components.core.resource_names import (
    CONFIG_MAP_TYPE,
    DEPLOYMENT_TYPE,
    DISRUPTION_BUDGET_TYPE,
    GATEWAY_TYPE,
    NAMESPACE_TYPE,
    NETWORK_POLICY_TYPE,
    PRIORITY_CLASS_TYPE,
    SERVICE_TYPE,
)
from components.core.scopes import KeyLimits
from components.core.tags import CONFIG_ANNOTATION
from components.gateway.envoy import bootstrap
from components.gateway.limits import GatewayLimits
from components.gateway.metrics import back_ends, own
from components.gateway.settings import (
    CONFIG_FOLDER,
    CPU_REQUEST,
    DRAIN_SECONDS,
    HEALTH_PORT,
    LISTEN_PORT,
    MEMORY_MIB,
    MEMORY_REQUEST,
    METRICS_PORT,
    GatewaySettings,
)
from components.gateway.tails.listener import TAILS, tails_file
from components.gateway.watched_files import (
    ACCESS,
    TOKEN,
    WATCHED,
    WatchedFile,
    access_file,
    keys_file,
    limits_files,
)
from components.shared.kubernetes_object import KubernetesObject
from components.shared.network_policies import COLLECTORS, egress_without_metadata
from components.shared.options import SKIP_AWAIT, child, manifest
from components.shared.pod_settings import PLAIN_PODS, PodSettings
from components.shared.pods import NAMESPACE_POD_SECURITY, POD_SECURITY_CONTEXT, Container
from components.shared.target_group_binding import Binding, declare_binding

REPLICAS = 2
STOP_SECONDS = 5  # until nodes stop sending connections
# Above pods without a priority class (0), below those of the cluster itself (2,000,000,000).
PRIORITY_CLASS, PRIORITY = "opstrace-gateway", 1_000_000
LOG_FLUSH_MILLISECONDS = "1000"  # of the access log; Envoy's default is 10 s


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """Arguments of `Gateway`.

    Attributes:
        settings: The settings in Envoy's bootstrap configuration.
        public_keys: The PEM text of each trusted key, by key id.
        key_limits: The limits of each of these keys, by key id.
        revoked_tokens: The ids of revoked tokens.
        limits: The limits of all tenants.
        node_port: The port of every node to which the load balancer forwards.
        collected: Whether the collectors scrape tenants' back ends through the gateway.
        binding: How pods become targets of the load balancer; None where nodes are the targets.
        pods: What the platform wants of the pods.
        cpu: The CPU request of each pod.
        memory: The memory request of each pod.
    """

    settings: GatewaySettings
    public_keys: Mapping[str, str]
    key_limits: Mapping[str, KeyLimits]
    revoked_tokens: Collection[str]
    limits: GatewayLimits
    node_port: int
    collected: bool = False
    binding: Binding | None = None
    pods: PodSettings = PLAIN_PODS
    cpu: str = CPU_REQUEST
    memory: str = MEMORY_REQUEST


class Gateway(pulumi.ComponentResource):
    """The gateway's namespace, configuration, keys, Deployment, Service and disruption budget."""

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(GATEWAY_TYPE, name, None, opts)
        instance = args.settings.instance
        marks = labels("gateway", "gateway", instance)
        gate = args.binding.namespace_labels if args.binding else {}
        namespace = KubernetesObject(
            NAMESPACE_TYPE,
            f"{name}-namespace",
            metadata=manifest(name=GATEWAY_NAMESPACE, labels=marks | NAMESPACE_POD_SECURITY | gate),
            opts=child(self),
        )
        in_namespace = namespace.physical_name
        config = bootstrap(args.settings)
        contents = {"config": {"envoy.json": config}, **_parts(_files(args))}
        maps = [
            KubernetesObject(
                CONFIG_MAP_TYPE,
                f"{name}-{part}",
                metadata=manifest(name=f"gateway-{part}", namespace=in_namespace, labels=marks),
                data=data,
                opts=child(self),
            )
            for part, data in contents.items()
        ]
        KubernetesObject(
            NETWORK_POLICY_TYPE,
            f"{name}-network-policy",
            metadata=manifest(name="gateway", namespace=in_namespace, labels=marks),
            spec=_network_policy(args),
            opts=child(self),
        )
        priority = [] if args.pods.priority_class else [self._priority_class(name, marks)]
        metadata: dict[str, Any] = {"name": "gateway", "namespace": in_namespace, "labels": marks}
        service = KubernetesObject(
            SERVICE_TYPE,
            f"{name}-service",
            metadata=manifest(**metadata, annotations=SKIP_AWAIT),
            spec=_service(instance, args),
            opts=child(self),
        )
        if args.collected:
            self._backend_metrics(name, args, metadata)
        bound = [declare_binding(name, args.binding, metadata, service, self)] if args.binding else []
        KubernetesObject(
            DEPLOYMENT_TYPE,
            f"{name}-deployment",
            metadata=manifest(**metadata),
            spec=_deployment(args, marks, config),
            opts=child(self, *maps, *priority, *bound),
        )
        KubernetesObject(
            DISRUPTION_BUDGET_TYPE,
            f"{name}-disruption-budget",
            metadata=manifest(name="gateway", namespace=in_namespace, labels=marks),
            spec=manifest(maxUnavailable=1, selector={"matchLabels": selector("gateway", instance)}),
            opts=child(self),
        )
        self.namespace = in_namespace
        self.register_outputs({"namespace": self.namespace})

    def _backend_metrics(self, name: str, args: GatewayArgs, metadata: Mapping[str, Any]) -> None:
        """Declare the Service of the port through which the collectors scrape the back ends."""
        ports = [{"name": "http", "port": 80, "targetPort": METRICS_PORT}]
        KubernetesObject(
            SERVICE_TYPE,
            f"{name}-backend-metrics-service",
            metadata=manifest(**{**metadata, "name": back_ends.NAME}, annotations=SKIP_AWAIT),
            spec=manifest(selector=selector("gateway", args.settings.instance), ports=ports),
            opts=child(self),
        )

    def _priority_class(self, name: str, marks: Mapping[str, str]) -> pulumi.Resource:
        return KubernetesObject(
            PRIORITY_CLASS_TYPE,
            f"{name}-priority-class",
            metadata=manifest(name=PRIORITY_CLASS, labels=marks),
            value=PRIORITY,
            description="The gateway of Opstrace: without it nobody reaches any tenant.",
            opts=child(self),
        )


def _files(args: GatewayArgs) -> dict[WatchedFile, str]:
    """Return the content of the files that Envoy watches."""
    files = {
        TOKEN: keys_file(args.settings.instance, args.public_keys),
        ACCESS: access_file(args.key_limits, args.revoked_tokens),
        **limits_files(args.limits, REPLICAS),
    }
    return files | {TAILS: tails_file(files, authentication=args.settings.authentication)}


def _parts(files: Mapping[WatchedFile, str]) -> dict[str, dict[str, str]]:
    """Return the data of the ConfigMaps with these files, by the files' part."""
    parts: dict[str, dict[str, str]] = {}
    for watched, content in files.items():
        parts.setdefault(watched.part, {})[watched.file] = content
    return parts


def _service(instance: str, args: GatewayArgs) -> Any:
    """Return the Service: at a port of each node, or in the cluster alone where pods are the targets."""
    port: dict[str, Any] = {"name": "http", "port": 80, "targetPort": "http"}
    if args.binding:
        return manifest(type="ClusterIP", selector=selector("gateway", instance), ports=[port])
    return manifest(
        type="NodePort", selector=selector("gateway", instance), ports=[port | {"nodePort": args.node_port}]
    )


def _network_policy(args: GatewayArgs) -> Any:
    """Return the policy that lets everybody reach the clients' port of the gateway's pods, and collectors theirs.

    The pods reach everything except the node's metadata. The probe's port needs no rule: traffic between a pod and its
    own node is always allowed (kubernetes.io, 'Network Policies').
    """
    clients = {"ports": [{"protocol": "TCP", "port": LISTEN_PORT}]}
    collectors = {"from": [COLLECTORS], "ports": [{"protocol": "TCP", "port": METRICS_PORT}]}
    return manifest(
        podSelector={"matchLabels": selector("gateway", args.settings.instance)},
        policyTypes=["Ingress", "Egress"],
        ingress=[clients, *([collectors] if args.collected else [])],
        egress=egress_without_metadata(),
    )


def _deployment(args: GatewayArgs, marks: Mapping[str, str], config: str) -> Any:
    instance = args.settings.instance
    envoy = Container(
        name="envoy",
        image=args.pods.images.pinned(ENVOY_IMAGE, args.settings.domain),
        args=[
            *("-c", f"{CONFIG_FOLDER}/envoy.json", "--disable-hot-restart", "--concurrency", "2"),
            *("--log-level", "warn", "--file-flush-interval-msec", LOG_FLUSH_MILLISECONDS),
            *("--drain-time-s", str(DRAIN_SECONDS)),
        ],
        ports={"http": LISTEN_PORT, "health": HEALTH_PORT},
        probe=("/ready", "health"),
        requests={"cpu": args.cpu, "memory": args.memory},
        memory_limit=f"{MEMORY_MIB}Mi",
    ).manifest()
    envoy["env"] = own.environment()
    envoy["lifecycle"] = {"preStop": {"sleep": {"seconds": STOP_SECONDS}}}
    folders = {"config": CONFIG_FOLDER} | {watched.part: watched.folder for watched in WATCHED}
    envoy["volumeMounts"] = [{"name": part, "mountPath": folder, "readOnly": True} for part, folder in folders.items()]
    other_node = {
        "labelSelector": {"matchLabels": selector("gateway", instance)},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {
        "replicas": REPLICAS,
        "selector": {"matchLabels": selector("gateway", instance)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {
                "labels": dict(marks),
                # A running Envoy rereads keys, limits and revocations; any other change needs new pods.
                "annotations": {CONFIG_ANNOTATION: hashlib.sha256(config.encode()).hexdigest()[:16]},
            },
            "spec": args.pods.applied(
                {
                    "automountServiceAccountToken": False,
                    "priorityClassName": PRIORITY_CLASS,
                    "securityContext": POD_SECURITY_CONTEXT,
                    "terminationGracePeriodSeconds": 30,
                    "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
                    "affinity": {
                        "podAntiAffinity": {
                            "preferredDuringSchedulingIgnoredDuringExecution": [
                                {"weight": 1, "podAffinityTerm": other_node}
                            ]
                        }
                    },
                    "containers": [envoy],
                    "volumes": [{"name": part, "configMap": {"name": f"gateway-{part}"}} for part in folders],
                }
            ),
        },
    }
