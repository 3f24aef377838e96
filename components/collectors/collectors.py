"""The collectors: a pod on each node, and one for the cluster."""

import json
from typing import Any

import pulumi

from components.collectors.access import declare_account
from components.collectors.admission import declare_policy
from components.collectors.configuration import cluster_configuration, node_configuration
from components.collectors.pod import (
    CONFIG_FILE,
    NAMESPACE_POD_SECURITY,
    ON_EVERY_NODE,
    ONE_BY_ONE,
    CollectorPod,
    workload_spec,
)
from components.collectors.settings import CLUSTER, NODE, CollectorsArgs
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
from components.shared.kubernetes_object import KubernetesObject
from components.shared.network_policies import egress_without_metadata
from components.shared.options import SKIP_AWAIT, child, manifest

COMPONENT = "collectors"


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
            # The admission policy is stricter than the level.
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
        selected = selector(program, self._args.instance)
        spec = workload_spec(selected, marks, text, _pod(program, self._args, image))
        if program == NODE:
            kind = DAEMON_SET_TYPE
            spec["updateStrategy"] = ONE_BY_ONE
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
    pod = CollectorPod(
        program=program,
        image=image,
        resources=args.resources,
        host_folder=args.host_folder(program),
        reads_logs=program == NODE and args.logs,
    )
    applied = args.pods.applied(pod.spec())
    if program == NODE:  # every node is watched, also those that are kept for others
        applied.pop("nodeSelector", None)
        applied["tolerations"] = ON_EVERY_NODE
    return applied
