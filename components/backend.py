"""What a back end of one binary needs of Kubernetes: configuration, Service and StatefulSet."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.identity import SERVICE_ACCOUNT
from components.names import BucketKind
from components.options import child
from components.workload import (
    CA_FILE,
    POD_SECURITY,
    TOKEN_FOLDER,
    Aws,
    aws_environment,
    container,
    labels,
    selector,
    token_volume,
)

CONFIG_FOLDER = "/etc/opstrace"
DATA_FOLDER = "/data"
SERVICE_PORT = 80
STOP_SECONDS = 300  # for what is in memory to reach the bucket
START_SECONDS = 1800  # to read a large log of writes again, after a crash
RETENTION = "168h"  # the original's 7 days
ANSWER_SECONDS = 310  # a little longer than the gateway waits
MESSAGE_BYTES = 100 << 20  # a large push or query result; the default, 4 MiB, is less than what clients may send


@dataclass(frozen=True)
class StoreArgs:
    """What a back end needs of its tenant. `buckets`: physical names by kind."""

    instance: str
    namespace: pulumi.Output[str]
    buckets: Mapping[BucketKind, pulumi.Output[str]]
    role_arn: pulumi.Output[str]
    aws: Aws
    storage_class: str | None


@dataclass(frozen=True)
class BackendArgs:
    """`config` is the back end's configuration file, as JSON, which is YAML too."""

    program: str
    image: str
    component: str
    config: pulumi.Output[str]
    http_port: int
    store: StoreArgs
    volume_size: str = "10Gi"
    cpu_request: str = "50m"
    memory_request: str = "256Mi"
    memory_limit: str = "2Gi"


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


def declare_backend(name: str, args: BackendArgs, parent: pulumi.Resource) -> None:
    """Declare the ConfigMap, the Service and the StatefulSet of a back end, all named after its program."""
    marks = labels(args.program, args.component, args.store.instance)
    metadata = {"name": args.program, "namespace": args.store.namespace, "labels": marks}
    certificates = {"ca.pem": args.store.aws.ca_bundle} if args.store.aws.ca_bundle else {}
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-config",
        metadata=metadata,
        data={"config.yaml": args.config, **certificates},
        opts=child(parent),
    )
    kubernetes.core.v1.Service(
        f"{name}-service",
        metadata=metadata,
        spec={
            "selector": selector(args.program, args.store.instance),
            "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": "http"}],
        },
        opts=child(parent),
    )
    digest = args.config.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
    kubernetes.apps.v1.StatefulSet(
        f"{name}-stateful-set",
        metadata=metadata,
        spec={
            "serviceName": args.program,
            "replicas": 1,
            "selector": {"matchLabels": selector(args.program, args.store.instance)},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
            "template": {
                "metadata": {"labels": marks, "annotations": {"opstrace/config": digest}},
                "spec": _pod(args),
            },
            "volumeClaimTemplates": [_claim(args)],
        },
        opts=child(parent, config),
    )


def _pod(args: BackendArgs) -> dict[str, Any]:
    main = container(
        args.program,
        args.image,
        [f"-config.file={CONFIG_FOLDER}/config.yaml"],
        ports={"http": args.http_port},
        probe=("/ready", "http"),
        requests={"cpu": args.cpu_request, "memory": args.memory_request},
        memory_limit=args.memory_limit,
        start_seconds=START_SECONDS,
    )
    main["env"] = aws_environment(args.store.aws, args.store.role_arn)
    main["volumeMounts"] = [
        {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        {"name": "aws-token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        {"name": "data", "mountPath": DATA_FOLDER},
    ]
    assert not args.store.aws.ca_bundle or CA_FILE.startswith(CONFIG_FOLDER)
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        **({"hostAliases": args.store.aws.host_aliases} if args.store.aws.host_aliases else {}),
        "containers": [main],
        "volumes": [{"name": "config", "configMap": {"name": args.program}}, token_volume()],
    }


def _claim(args: BackendArgs) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": args.volume_size}},
    }
    if args.store.storage_class:
        spec["storageClassName"] = args.store.storage_class
    return {"metadata": {"name": "data"}, "spec": spec}
