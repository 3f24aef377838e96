"""The collectors: a pod on each node, and one for the cluster."""

import hashlib
import json
from typing import Any

import pulumi

from components.collectors.access import declare_account
from components.collectors.admission import LOGS_VOLUME, QUEUE_VOLUME, declare_policy
from components.collectors.configuration import cluster_configuration, node_configuration
from components.collectors.log_files import SYNCHRONOUS
from components.collectors.settings import (
    CLUSTER,
    CONFIG_FOLDER,
    HEALTH_PORT,
    LOGS_FOLDER,
    NODE,
    NODE_ADDRESS,
    NODE_NAME,
    POD_NAME,
    QUEUE_FOLDER,
    CollectorsArgs,
)
from components.core.images import COLLECTOR_IMAGE
from components.core.labels import labels, selector
from components.core.names import COLLECTORS_NAMESPACE
from components.core.resource_names import (
    COLLECTORS_TYPE,
    CONFIG_MAP_TYPE,
    DAEMON_SET_TYPE,
    DEPLOYMENT_TYPE,
    NAMESPACE_TYPE,
    NETWORK_POLICY_TYPE,
)
from components.core.tags import CONFIG_ANNOTATION
from components.core.units import amount
from components.shared.kubernetes_object import KubernetesObject
from components.shared.network_policies import egress_without_metadata
from components.shared.options import SKIP_AWAIT, child, manifest
from components.shared.pods import Container

COMPONENT = "collectors"
NAMESPACE_POD_SECURITY = {"pod-security.kubernetes.io/enforce": "privileged"}  # the policy in `admission` is stricter
CONFIG_FILE = "config.yaml"
GO_MEMORY_SHARE = 0.8  # of the memory limit, from which Go's garbage collector works harder
STOP_SECONDS = 30
# Root on the node's files: log files and the queue's folder are root's. All capabilities are dropped, so it can read and
# write what root owns, and nothing else.
POD_SECURITY_CONTEXT = {
    "runAsUser": 0,
    "runAsGroup": 0,
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Collectors(pulumi.ComponentResource):
    """The collectors' namespace, what may run there, their rights, and their pods.

    No update waits for the pods: what they collect is kept on the nodes until it can be sent, and tenants answer without
    them.
    """

    def __init__(self, name: str, args: CollectorsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(COLLECTORS_TYPE, name, None, opts)
        self._name, self._args = name, args
        configurations = {NODE: node_configuration(args)}
        if args.metrics:
            configurations[CLUSTER] = cluster_configuration(args)
        marks = labels(COMPONENT, COMPONENT, args.instance)
        image = args.pods.images.pinned(COLLECTOR_IMAGE, args.domain)
        admitted = declare_policy(name, [*configurations], image, marks, self)
        namespace = KubernetesObject(
            NAMESPACE_TYPE,
            f"{name}-namespace",
            metadata=manifest(name=COLLECTORS_NAMESPACE, labels=marks | NAMESPACE_POD_SECURITY),
            opts=child(self),
        )
        in_namespace = namespace.physical_name
        closed = KubernetesObject(
            NETWORK_POLICY_TYPE,
            f"{name}-network-policy",
            metadata=manifest(name=COMPONENT, namespace=in_namespace, labels=marks),
            # Nobody reaches them. They reach the API server, kubelets, annotated pods and the system tenant.
            spec=manifest(podSelector={}, policyTypes=["Ingress", "Egress"], egress=egress_without_metadata()),
            opts=child(self),
        )
        for program, configuration in configurations.items():
            text = json.dumps(configuration, indent=1)  # YAML too
            self._workload(program, text, in_namespace, image, [*admitted, closed])
        self.register_outputs({})

    def _workload(
        self, program: str, text: str, namespace: pulumi.Output[str], image: str, first: list[pulumi.Resource]
    ) -> None:
        """Declare a collector: its rights, its configuration and its pods, after the resources in `first`."""
        name, marks = self._name, labels(program, COMPONENT, self._args.instance)
        metadata = manifest(name=program, namespace=namespace, labels=marks)
        rights = declare_account(name, program, namespace, marks, self)
        config = KubernetesObject(
            CONFIG_MAP_TYPE, f"{name}-{program}-config", metadata=metadata, data={CONFIG_FILE: text}, opts=child(self)
        )
        spec: dict[str, Any] = {
            "selector": {"matchLabels": selector(program, self._args.instance)},
            "template": {
                "metadata": {
                    "labels": marks,
                    "annotations": {CONFIG_ANNOTATION: hashlib.sha256(text.encode()).hexdigest()[:16]},
                },
                "spec": _pod(program, self._args, image),
            },
        }
        if program == NODE:
            kind = DAEMON_SET_TYPE
            spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
        else:
            kind = DEPLOYMENT_TYPE
            spec |= {"replicas": 1, "strategy": {"type": "Recreate"}}  # two would write to one queue
        KubernetesObject(
            kind,
            f"{name}-{program}",
            metadata=metadata | {"annotations": SKIP_AWAIT},
            spec=manifest(**spec),
            opts=child(self, *first, *rights, config),
        )


def _pod(program: str, args: CollectorsArgs, image: str) -> dict[str, Any]:
    reads_logs = program == NODE and args.logs
    container = Container(
        name="collector",
        image=image,
        args=[f"--config={CONFIG_FOLDER}/{CONFIG_FILE}", f"--feature-gates={SYNCHRONOUS}"],
        ports={"health": HEALTH_PORT},
        probe=("/", "health"),
        requests={"cpu": args.resources.cpu, "memory": args.resources.memory},
        memory_limit=args.resources.memory_limit,
    ).manifest()
    container["env"] = _environment(args)
    container["volumeMounts"] = [
        {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        {"name": QUEUE_VOLUME, "mountPath": QUEUE_FOLDER},
        *([{"name": LOGS_VOLUME, "mountPath": LOGS_FOLDER, "readOnly": True}] if reads_logs else []),
    ]
    folders = {
        QUEUE_VOLUME: {"path": args.host_folder(program), "type": "DirectoryOrCreate"},
        **({LOGS_VOLUME: {"path": LOGS_FOLDER, "type": "Directory"}} if reads_logs else {}),
    }
    spec = {
        "serviceAccountName": program,
        "automountServiceAccountToken": True,
        "securityContext": POD_SECURITY_CONTEXT,
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
        "containers": [container],
        "volumes": [
            {"name": "config", "configMap": {"name": program}},
            *({"name": name, "hostPath": folder} for name, folder in folders.items()),
        ],
    }
    applied = args.pods.applied(spec)
    if program == NODE:  # every node is watched, also those that are kept for others
        applied.pop("nodeSelector", None)
        applied["tolerations"] = [{"operator": "Exists"}]
    return applied


def _environment(args: CollectorsArgs) -> list[dict[str, Any]]:
    fields = {NODE_NAME: "spec.nodeName", NODE_ADDRESS: "status.hostIP", POD_NAME: "metadata.name"}
    limit = int(amount(args.resources.memory_limit) * GO_MEMORY_SHARE)
    return [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        {"name": "GOMEMLIMIT", "value": str(limit)},
    ]
