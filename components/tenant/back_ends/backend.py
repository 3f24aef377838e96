"""The Kubernetes resources of a back end that is a single binary: configuration, Service and StatefulSet."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.config.tenant import BackendSize
from components.core.labels import labels, selector
from components.core.names import PORTS, SYSTEM, Api
from components.core.recorded_retention import RUNTIME_KEY
from components.core.resource_names import (
    CONFIG_MAP_TYPE,
    DISRUPTION_BUDGET_TYPE,
    SERVICE_TYPE,
    STATEFUL_SET_TYPE,
    config_map_name,
    stateful_set_name,
)
from components.core.tags import CONFIG_ANNOTATION
from components.shared.kubernetes_object import KubernetesObject
from components.shared.options import SKIP_AWAIT, child, manifest
from components.shared.pods import (
    CA_FILE,
    POD_SECURITY_CONTEXT,
    TOKEN_FOLDER,
    Container,
    aws_environment,
    token_volume,
)
from components.tenant.back_ends.shared_blocks import CONFIG_FOLDER, GOSSIP_PORT, gossip_name
from components.tenant.back_ends.store import StoreArgs
from components.tenant.preview_notices import shrinking_retention

COMPONENTS: dict[Api, str] = {"cortex": "metrics", "loki": "logs"}
DATA_FOLDER = "/data"
SERVICE_PORT = 80
STOP_SECONDS = 300  # until everything in memory is in the bucket
DRAIN_SECONDS = 5
START_SECONDS = 1800  # until a large write-ahead log is replayed after a crash


@dataclass(frozen=True, kw_only=True)
class BackendArgs:
    """The parts of a back end.

    Attributes:
        program: the name of the program, and of its Service and its pods.
        component: what the back end holds, such as `metrics`.
        config: the back end's configuration file.
        limits: the tenant's limits under the back end's own names; the back end reads them again while it runs.
        http_port: the port of the HTTP API in the pod.
        environment: variables of the container beside those of AWS.
        volumes: further volumes, each with its mount.
        drains: whether the one pod goes on for a while when it is stopped, as each of several does.
    """

    program: str
    image: str
    component: str
    replicas: int
    config: pulumi.Output[dict[str, Any]]
    limits: Mapping[str, Any]
    http_port: int
    size: BackendSize
    store: StoreArgs
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Sequence[tuple[dict[str, Any], dict[str, Any]]] = ()
    drains: bool = False


def api_backend(
    api: Api,
    image: str,
    store: StoreArgs,
    *,
    config: pulumi.Output[dict[str, Any]],
    limits: Mapping[str, Any],
) -> BackendArgs:
    """Return the parts of a back end that serves one of the tenant's APIs."""
    pods = store.settings.pods()
    return BackendArgs(
        program=api,
        image=store.pods.images.pinned(image, store.domain),
        component=COMPONENTS[api],
        replicas=pods.replicas,
        config=config,
        limits=limits,
        http_port=PORTS[api],
        size={"cortex": pods.metrics, "loki": pods.logs}[api],
        store=store,
        # A Cortex that stops answers 500, which the collectors do not send again. The gateway makes it 503 for clients.
        drains=api == "cortex" and store.tenant == SYSTEM,
    )


def declare_backend(name: str, args: BackendArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Declare the ConfigMap, the Service and the StatefulSet of a back end, all named after its program.

    Several pods also get a Service by which they find each other, and a disruption budget.

    Returns:
        An output that is known once the pods run as declared.
    """
    own_labels = labels(args.program, args.component, args.store.instance)
    metadata = manifest(name=args.program, namespace=args.store.namespace, labels=own_labels)
    certificates = (
        {CA_FILE.removeprefix(f"{CONFIG_FOLDER}/"): args.store.aws.ca_bundle} if args.store.aws.ca_bundle else {}
    )
    text = args.config.apply(lambda config: json.dumps(config, indent=1))  # YAML too
    config = KubernetesObject(
        CONFIG_MAP_TYPE,
        config_map_name(name),
        metadata=metadata,
        data={"config.yaml": text, RUNTIME_KEY: _runtime(args), **certificates},
        opts=child(parent, more=shrinking_retention(name, args.store.tenant, args.component)),
    )
    KubernetesObject(
        SERVICE_TYPE,
        f"{name}-service",
        metadata=metadata | {"annotations": SKIP_AWAIT},
        spec=_service(args),
        opts=child(parent),
    )
    if args.replicas > 1:
        KubernetesObject(
            SERVICE_TYPE,
            f"{name}-gossip-service",
            metadata=metadata | {"name": gossip_name(args.program), "annotations": SKIP_AWAIT},
            spec=_gossip_service(args),
            opts=child(parent),
        )
        KubernetesObject(
            DISRUPTION_BUDGET_TYPE,
            f"{name}-disruption-budget",
            metadata=metadata,
            spec=manifest(maxUnavailable=1, selector={"matchLabels": selector(args.program, args.store.instance)}),
            opts=child(parent),
        )
    # The tenant's limits are not part of the hash: running pods read them again from their file.
    digest = text.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
    pods = KubernetesObject(
        STATEFUL_SET_TYPE,
        stateful_set_name(name),
        metadata=metadata,
        spec=_stateful_set(args, own_labels, digest),
        opts=child(parent, config, more=pulumi.ResourceOptions(custom_timeouts=rollout_timeouts(args.replicas))),
    )
    return pods.id


def rollout_timeouts(replicas: int) -> pulumi.CustomTimeouts:
    """Return how long an update of the pods may take: they stop one by one, and replay their write-ahead logs.

    A creation has no log to replay, so the engine's default of 10 minutes is enough.
    """
    return pulumi.CustomTimeouts(update=f"{replicas * STOP_SECONDS + START_SECONDS}s")


def _stateful_set(args: BackendArgs, own_labels: Mapping[str, str], digest: pulumi.Output[str]) -> Any:
    return manifest(
        serviceName=args.program,
        replicas=args.replicas,
        podManagementPolicy="Parallel",  # a pod that cannot start must not hold back the others
        selector={"matchLabels": selector(args.program, args.store.instance)},
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete", "whenScaled": "Retain"},
        template={
            "metadata": {"labels": dict(own_labels), "annotations": {CONFIG_ANNOTATION: digest}},
            "spec": _pod(args),
        },
        volumeClaimTemplates=[_claim(args)],
    )


def _runtime(args: BackendArgs) -> str:
    return json.dumps({"overrides": {args.store.tenant: dict(args.limits)}}, indent=1)


def _service(args: BackendArgs) -> Any:
    ports = [{"name": "http", "port": SERVICE_PORT, "targetPort": "http"}]
    return manifest(selector=selector(args.program, args.store.instance), ports=ports)


def _gossip_service(args: BackendArgs) -> Any:
    return manifest(
        clusterIP="None",
        publishNotReadyAddresses=True,
        selector=selector(args.program, args.store.instance),
        ports=[{"name": "gossip", "port": GOSSIP_PORT, "targetPort": GOSSIP_PORT}],
    )


def _spread(args: BackendArgs) -> dict[str, Any]:
    """Return the constraints that spread the pods over zones and nodes, as far as the cluster has several."""
    if args.replicas == 1:
        return {}
    pods = {"labelSelector": {"matchLabels": selector(args.program, args.store.instance)}}
    rule = pods | {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    domains = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    return {"topologySpreadConstraints": [rule | {"topologyKey": domain} for domain in domains]}


def _pod(args: BackendArgs) -> dict[str, Any]:
    main = Container(
        name=args.program,
        image=args.image,
        args=[f"-config.file={CONFIG_FOLDER}/config.yaml"],
        ports={"http": args.http_port},
        probe=("/ready", "http"),
        requests={"cpu": args.size.cpu, "memory": args.size.memory},
        memory_limit=args.size.memory_limit,
        start_seconds=START_SECONDS,
    ).manifest()
    if args.replicas > 1 or args.drains:
        main["lifecycle"] = {
            "preStop": {"sleep": {"seconds": DRAIN_SECONDS}}
        }  # until no node routes requests to the pod
    environment = [{"name": name, "value": value} for name, value in args.environment.items()]
    main["env"] = [*aws_environment(args.store.aws, args.store.role_arn), *environment]
    main["volumeMounts"] = [
        {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        {"name": "aws-token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        {"name": "data", "mountPath": DATA_FOLDER},
        *(mount for _, mount in args.volumes),
    ]
    spec = {
        "serviceAccountName": args.store.service_account,
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY_CONTEXT,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        **({"hostAliases": args.store.aws.host_aliases} if args.store.aws.host_aliases else {}),
        "containers": [main],
        "volumes": [
            {"name": "config", "configMap": {"name": args.program}},
            token_volume(),
            *(volume for volume, _ in args.volumes),
        ],
        **_spread(args),
    }
    return args.store.pods.applied(spec)


def _claim(args: BackendArgs) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": args.size.volume}},
    }
    if args.store.storage_class:
        spec["storageClassName"] = args.store.storage_class
    return {"metadata": {"name": "data"}, "spec": spec}
