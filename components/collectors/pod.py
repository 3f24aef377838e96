"""The pods of a collector, as parts of a Kubernetes manifest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.collectors.log_files import SYNCHRONOUS
from components.collectors.settings import (
    CONFIG_FOLDER,
    HEALTH_PORT,
    LOGS_FOLDER,
    LOGS_VOLUME,
    NODE_ADDRESS,
    NODE_NAME,
    POD_NAME,
    QUEUE_FOLDER,
    QUEUE_VOLUME,
    CollectorResources,
)
from components.core.tags import CONFIG_ANNOTATION
from components.core.units import amount
from components.shared.pods import Container

CONFIG_FILE, CONFIG_VOLUME = "config.yaml", "config"
ARGUMENTS = [f"--config={CONFIG_FOLDER}/{CONFIG_FILE}", f"--feature-gates={SYNCHRONOUS}"]
FIELDS = {NODE_NAME: "spec.nodeName", NODE_ADDRESS: "status.hostIP", POD_NAME: "metadata.name"}
"""The variables of the environment that the configuration uses, and the fields of the pod that they take."""
MEMORY_VARIABLE = "GOMEMLIMIT"
GO_MEMORY_SHARE = 0.8  # of the memory limit, from which Go's garbage collector works harder
STOP_SECONDS = 30
# Root on the node's files: log files and the queue's folder are root's. All capabilities are dropped, so it can read and
# write what root owns, and nothing else.
POD_SECURITY_CONTEXT = {
    "runAsUser": 0,
    "runAsGroup": 0,
    "seccompProfile": {"type": "RuntimeDefault"},
}
NAMESPACE_POD_SECURITY = {"pod-security.kubernetes.io/enforce": "privileged"}
"""The label of a collector's namespace: the other Pod Security levels forbid host paths."""

ON_EVERY_NODE = [{"operator": "Exists"}]
"""The tolerations of a collector that watches every node, also those that are kept for other pods."""

ONE_BY_ONE = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}


@dataclass(frozen=True, kw_only=True)
class CollectorPod:
    """A pod of a collector.

    Attributes:
        program: The name of the collector, its service account and its ConfigMap.
        image: The image reference.
        resources: Requests and memory limit.
        host_folder: The node's folder for the queue and the positions in log files.
        reads_logs: Whether it reads the log files of the node.
    """

    program: str
    image: str
    resources: CollectorResources
    host_folder: str
    reads_logs: bool

    def spec(self) -> dict[str, Any]:
        """Return the spec of the pod."""
        folders = {
            QUEUE_VOLUME: {"path": self.host_folder, "type": "DirectoryOrCreate"},
            **({LOGS_VOLUME: {"path": LOGS_FOLDER, "type": "Directory"}} if self.reads_logs else {}),
        }
        return {
            "serviceAccountName": self.program,
            "automountServiceAccountToken": True,
            "securityContext": POD_SECURITY_CONTEXT,
            "terminationGracePeriodSeconds": STOP_SECONDS,
            "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
            "containers": [self._container()],
            "volumes": [
                {"name": CONFIG_VOLUME, "configMap": {"name": self.program}},
                *({"name": name, "hostPath": folder} for name, folder in folders.items()),
            ],
        }

    def _container(self) -> dict[str, Any]:
        container = Container(
            name="collector",
            image=self.image,
            args=ARGUMENTS,
            ports={"health": HEALTH_PORT},
            probe=("/", "health"),
            requests={"cpu": self.resources.cpu, "memory": self.resources.memory},
            memory_limit=self.resources.memory_limit,
        ).manifest()
        container["env"] = self._environment()
        container["volumeMounts"] = [
            {"name": CONFIG_VOLUME, "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": QUEUE_VOLUME, "mountPath": QUEUE_FOLDER},
            *([{"name": LOGS_VOLUME, "mountPath": LOGS_FOLDER, "readOnly": True}] if self.reads_logs else []),
        ]
        return container

    def _environment(self) -> list[dict[str, Any]]:
        limit = int(amount(self.resources.memory_limit) * GO_MEMORY_SHARE)
        return [
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FIELDS.items()),
            {"name": MEMORY_VARIABLE, "value": str(limit)},
        ]


def workload_spec(
    selector: Mapping[str, str], marks: Mapping[str, str], configuration: str, pod: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the selector and the pod template of a workload. Another configuration replaces its pods."""
    annotations = {CONFIG_ANNOTATION: hashlib.sha256(configuration.encode()).hexdigest()[:16]}
    return {
        "selector": {"matchLabels": dict(selector)},
        "template": {"metadata": {"labels": dict(marks), "annotations": annotations}, "spec": dict(pod)},
    }
