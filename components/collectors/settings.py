"""The settings of the collectors, and the names, folders and ports that they are built for."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.core.names import COLLECTORS_NAMESPACE, Api
from components.core.units import amount
from components.shared.pod_settings import PLAIN_PODS, PodSettings

NODE = "node-collector"  # the DaemonSet, its service account and its objects
CLUSTER = "cluster-collector"  # the Deployment, likewise

CONFIG_FOLDER = "/etc/opstrace"
QUEUE_FOLDER = "/var/lib/otelcol"  # in the pod
HOST_FOLDER = f"/var/lib/{COLLECTORS_NAMESPACE}"  # on the node
LOGS_FOLDER = "/var/log/pods"  # on the node and in the pod, so that the files keep their paths
LOGS_VOLUME, QUEUE_VOLUME = "logs", "queue"
SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
HEALTH_PORT = 13133
OWN_METRICS_PORT = 8888  # on loopback
KUBELET_PORT = 10250
TEMPLATE_HASH = (
    "pod-template-hash"  # the label of the pods of a Deployment, with which the name of their ReplicaSet ends
)

NODE_NAME, NODE_ADDRESS, POD_NAME = "NODE_NAME", "NODE_IP", "POD_NAME"
"""Variables of the pods' environment that their configuration uses."""


@dataclass(frozen=True, kw_only=True)
class ScrapeJob:
    """Targets outside of pods with annotations. `interval_seconds` is the time between two scrapes."""

    job: str
    targets: Sequence[str]
    path: str
    scheme: str
    interval_seconds: int


@dataclass(frozen=True, kw_only=True)
class CollectorResources:
    """Requests and memory limit of each collector's pod, as Kubernetes quantities."""

    cpu: str
    memory: str
    memory_limit: str


@dataclass(frozen=True, kw_only=True)
class CollectorQueues:
    """What each queue of a collector holds, as Kubernetes quantities in bytes.

    The defaults hold 15 minutes of 1,000 lines/s with 550 bytes each, and of 100,000 series with 370 bytes a sample, which
    are scraped each 15 s (`bench.collectors`). Attributes are included. To scrape 100,000 series, a collector needs a memory
    limit of 2 GiB. The default limit is for 40,000, five times those of a node with 110 pods (docs/explanation/scale.md).
    """

    logs: str = "512Mi"
    metrics: str = "2304Mi"

    def size(self, api: Api) -> int:
        """Return the bytes of the queue to a back end."""
        return int(amount(self.logs if api == "loki" else self.metrics))


@dataclass(frozen=True, kw_only=True)
class CollectorsArgs:
    """What the collectors collect, and for which instance.

    Attributes:
        instance: The name of the instance.
        domain: The instance's own domain.
        logs: Whether the logs of containers are collected.
        metrics: Whether metrics are collected.
        excluded_namespaces: Namespaces whose logs, containers and pods are left out.
        extra_scrape: Further scrape targets.
        resources: The resources of each pod.
        queues: The sizes of each collector's queues.
        pods: What the platform wants of the pods.
    """

    instance: str
    domain: str
    logs: bool
    metrics: bool
    excluded_namespaces: Sequence[str]
    extra_scrape: Sequence[ScrapeJob]
    resources: CollectorResources
    queues: CollectorQueues = CollectorQueues()
    pods: PodSettings = PLAIN_PODS

    def host_folder(self, program: str) -> str:
        """Return the folder of a collector's queue on its node. Another instance has another folder."""
        return f"{HOST_FOLDER}/{self.instance}/{program}"
