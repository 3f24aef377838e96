"""What a back end of one binary needs of Kubernetes: configuration, Service and StatefulSet."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi
import pulumi_kubernetes as kubernetes

from components.labels import labels, selector
from components.names import BucketKind
from components.notices import shrinking_retention
from components.options import child, manifest
from components.retention import RUNTIME_KEY
from components.tenant_config import BackendSize, TenantSettings
from components.workload import CA_FILE, POD_SECURITY, TOKEN_FOLDER, Aws, aws_environment, container, token_volume

SERVICE_ACCOUNT = "tenant"
CONFIG_FOLDER = "/etc/opstrace"
RUNTIME_FILE = f"{CONFIG_FOLDER}/{RUNTIME_KEY}"
RUNTIME_SECONDS = 10
GOSSIP_PORT = 7946
DATA_FOLDER = "/data"
SERVICE_PORT = 80
STOP_SECONDS = 300  # for what is in memory to reach the bucket
DRAIN_SECONDS = 5
START_SECONDS = 1800  # to read a large log of writes again, after a crash
ANSWER_SECONDS = 310  # a little longer than the gateway waits
MESSAGE_BYTES = 100 << 20  # a large push or query result; the default, 4 MiB, is less than what clients may send


@dataclass(frozen=True)
class StoreArgs:
    """What a back end needs of its tenant. `buckets`: physical names by kind. `service_account` may take the role."""

    instance: str
    tenant: str
    settings: TenantSettings
    namespace: pulumi.Output[str]
    buckets: Mapping[BucketKind, pulumi.Output[str]]
    role_arn: pulumi.Output[str]
    aws: Aws
    storage_class: str | None
    service_account: str = SERVICE_ACCOUNT


class Backend(Protocol):
    """What a tenant needs to know of a back end. `running` is known once its pods run as they are declared."""

    running: pulumi.Output[str]


@dataclass(frozen=True)
class BackendArgs:
    """`config` is the back end's configuration file, as JSON, which is YAML too.

    `limits` is what it is told about the tenant while it runs, under its own names.
    """

    program: str
    image: str
    component: str
    replicas: int
    config: pulumi.Output[str]
    limits: Mapping[str, Any]
    http_port: int
    size: BackendSize
    store: StoreArgs
    environment: Mapping[str, str] = field(default_factory=dict)


def server(http_port: int, grpc_port: int) -> dict[str, Any]:
    """Return the `server` block, which Cortex and Loki share."""
    return {
        "http_listen_port": http_port,
        "grpc_listen_port": grpc_port,
        "log_level": "warn",
        "http_server_read_timeout": f"{ANSWER_SECONDS}s",
        "http_server_write_timeout": f"{ANSWER_SECONDS}s",
        "grpc_server_max_recv_msg_size": MESSAGE_BYTES,
        "grpc_server_max_send_msg_size": MESSAGE_BYTES,
    }


def runtime_config() -> dict[str, Any]:
    """Return the `runtime_config` block: the file that is read again and again while the back end runs."""
    return {"file": RUNTIME_FILE, "period": f"{RUNTIME_SECONDS}s"}


def ring_store(store: StoreArgs) -> dict[str, Any]:
    """Return the `kvstore` of a ring: in memory where there is one pod, else what the pods tell each other."""
    return {"store": "inmemory" if store.settings.pods().replicas == 1 else "memberlist"}


def memberlist(program: str, store: StoreArgs) -> dict[str, Any]:
    """Return the `memberlist` block, by which the pods of a back end find each other; empty where there is one pod."""
    if store.settings.pods().replicas == 1:
        return {}
    # All that there are, ready or not; those that start at the same time find each other at the next try.
    settings = {"join_members": [f"dns+{_gossip(program)}:{GOSSIP_PORT}"], "bind_port": GOSSIP_PORT}
    return {"memberlist": settings | {"rejoin_interval": "5s", "abort_if_cluster_join_fails": False}}


def _gossip(program: str) -> str:
    """Return the name of the Service whose name leads to each pod."""
    return f"{program}-gossip"


def ready_after(store: StoreArgs) -> str:
    """Return how long a pod that has started is held back from requests.

    One of several first has to hear of the others: until then it knows of too few of them, and refuses writes.
    """
    return "0s" if store.settings.pods().replicas == 1 else "10s"


def declare_backend(name: str, args: BackendArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Declare the ConfigMap, the Service and the StatefulSet of a back end, all named after its program.

    Where there are several pods, a Service by which they find each other and a disruption budget too. Return what is known
    once the pods run as they are declared.
    """
    marks = labels(args.program, args.component, args.store.instance)
    metadata = manifest(name=args.program, namespace=args.store.namespace, labels=marks)
    certificates = {"ca.pem": args.store.aws.ca_bundle} if args.store.aws.ca_bundle else {}
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-config",
        metadata=metadata,
        data={"config.yaml": args.config, RUNTIME_KEY: _runtime(args), **certificates},
        opts=child(parent, more=shrinking_retention(name, args.store.tenant, args.component)),
    )
    kubernetes.core.v1.Service(
        f"{name}-service",
        metadata=metadata,
        spec=_service(args),
        opts=child(parent),
    )
    if args.replicas > 1:
        kubernetes.core.v1.Service(
            f"{name}-gossip-service",
            metadata=manifest(name=_gossip(args.program), namespace=args.store.namespace, labels=marks),
            spec=_gossip_service(args),
            opts=child(parent),
        )
        kubernetes.policy.v1.PodDisruptionBudget(
            f"{name}-disruption-budget",
            metadata=metadata,
            spec=manifest(maxUnavailable=1, selector={"matchLabels": selector(args.program, args.store.instance)}),
            opts=child(parent),
        )
    # The tenant's limits are not in it: they reach running pods by the file that is read again.
    digest = args.config.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
    pods = kubernetes.apps.v1.StatefulSet(
        f"{name}-stateful-set",
        metadata=metadata,
        spec=_stateful_set(args, marks, digest),
        opts=child(parent, config),
    )
    return pods.id


def _stateful_set(args: BackendArgs, marks: Mapping[str, str], digest: pulumi.Output[str]) -> Any:
    return manifest(
        serviceName=args.program,
        replicas=args.replicas,
        podManagementPolicy="Parallel",  # one that cannot start must not keep others from it
        selector={"matchLabels": selector(args.program, args.store.instance)},
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete", "whenScaled": "Retain"},
        template={
            "metadata": {"labels": dict(marks), "annotations": {"opstrace/config": digest}},
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
    """Return how the pods are kept apart: in three zones and on three nodes where there are so many."""
    if args.replicas == 1:
        return {}
    mine = {"labelSelector": {"matchLabels": selector(args.program, args.store.instance)}}
    rule = mine | {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    places = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    return {"topologySpreadConstraints": [rule | {"topologyKey": place} for place in places]}


def _pod(args: BackendArgs) -> dict[str, Any]:
    main = container(
        args.program,
        args.image,
        [f"-config.file={CONFIG_FOLDER}/config.yaml"],
        ports={"http": args.http_port},
        probe=("/ready", "http"),
        requests={"cpu": args.size.cpu, "memory": args.size.memory},
        memory_limit=args.size.memory_limit,
        start_seconds=START_SECONDS,
    )
    if args.replicas > 1:
        main["lifecycle"] = {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}}  # until no node sends anything here
    environment = [{"name": name, "value": value} for name, value in args.environment.items()]
    main["env"] = [*aws_environment(args.store.aws, args.store.role_arn), *environment]
    main["volumeMounts"] = [
        {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        {"name": "aws-token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        {"name": "data", "mountPath": DATA_FOLDER},
    ]
    assert not args.store.aws.ca_bundle or CA_FILE.startswith(CONFIG_FOLDER)
    return {
        "serviceAccountName": args.store.service_account,
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        **({"hostAliases": args.store.aws.host_aliases} if args.store.aws.host_aliases else {}),
        "containers": [main],
        "volumes": [{"name": "config", "configMap": {"name": args.program}}, token_volume()],
        **_spread(args),
    }


def _claim(args: BackendArgs) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": args.size.volume}},
    }
    if args.store.storage_class:
        spec["storageClassName"] = args.store.storage_class
    return {"metadata": {"name": "data"}, "spec": spec}
