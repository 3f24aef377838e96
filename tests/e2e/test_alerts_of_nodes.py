"""Faults of nodes, volumes and of the gateway's pods are made on a live instance, and the platform's alerts fire."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.core.names import COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE, namespace
from localcloud.node.images import PAUSE
from tests.support.live_alerts import FAULT_SECONDS, firing
from tests.support.live_kubelet import LiveKubelet
from tests.support.manifests import apply, pod
from tests.support.polling import eventually
from tests.support.small_disk import SmallDisk
from tests.support.user_session import GATEWAY_MARKS, UserSession, gateway_is_current

pytestmark = pytest.mark.nightly

PLACE = namespace("default")
LOST = "lost"
NAME = "small"  # of the volume, its claim and the pod
MEBIBYTES = 24
# More memory than a node has available, but without an eviction.
PRESSURE = {"evictionSoft": {"memory.available": "99%"}, "evictionSoftGracePeriod": {"memory.available": "24h"}}
RENEWS = {"rotateCertificates": True}  # it has the metric about its certificate then
LIFE = datetime.timedelta(days=3)


@pytest.fixture
def lost_node(walk: UserSession) -> Iterator[None]:
    """A node without a kubelet, such as one whose machine is gone."""
    apply(walk.shell, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": LOST}})
    yield
    walk.kubectl("delete", "node", LOST)
    # The pod of the collector for this node waits for it without end.
    walk.kubectl("-n", COLLECTORS_NAMESPACE, "delete", "pods", "--field-selector=status.phase=Pending")


@pytest.fixture
def kubelet(walk: UserSession) -> LiveKubelet:
    return LiveKubelet(walk)


@pytest.fixture
def faulty_kubelet(kubelet: LiveKubelet) -> Iterator[None]:
    """A kubelet that is short of memory, and whose certificate ends soon."""
    kubelet.restart(PRESSURE | RENEWS, LIFE)
    yield
    kubelet.restore()


@pytest.fixture
def missing_pod(walk: UserSession, kubelet: LiveKubelet) -> Iterator[None]:
    """A pod of the gateway that no node takes."""
    node = kubelet.settings.name
    walk.kubectl("cordon", node)
    pods = walk.kubectl("-n", GATEWAY_NAMESPACE, "get", "pods", "-l", GATEWAY_MARKS, "-o", "name").split()
    walk.kubectl("-n", GATEWAY_NAMESPACE, "delete", pods[0])
    yield
    walk.kubectl("uncordon", node)
    eventually(lambda: gateway_is_current(walk), FAULT_SECONDS)


def volume(folder: Path, node: str) -> list[dict[str, Any]]:
    """Return a volume of a tenant in a folder of a node, its claim, and a pod that has it."""
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    size = {"storage": f"{MEBIBYTES}Mi"}
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}}
    closed = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1,
    }
    container = {
        "name": "pause",
        "image": PAUSE,
        "imagePullPolicy": "Never",
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},  # or it is evicted while memory is short
        "securityContext": closed | {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumeMounts": [{"name": NAME, "mountPath": "/data"}],
    }
    claimed = {"name": NAME, "persistentVolumeClaim": {"claimName": NAME}}
    metadata = {"name": NAME, "namespace": PLACE}
    local = {"capacity": size, "local": {"path": str(folder)}, "nodeAffinity": affinity}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": NAME}, "spec": spec | local},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": spec | {"volumeName": NAME, "resources": {"requests": size}},
        },
        pod(PLACE, NAME, {"containers": [container], "volumes": [claimed], "automountServiceAccountToken": False}),
    ]


@pytest.fixture
def full_volume(walk: UserSession, kubelet: LiveKubelet) -> Iterator[None]:
    """A volume of a tenant on a disk without room."""
    folder = kubelet.settings.node / NAME
    folder.mkdir()
    disk = SmallDisk(folder, MEBIBYTES, kubelet.process().ppid())
    apply(walk.shell, *volume(folder, kubelet.settings.name))
    walk.kubectl("-n", PLACE, "wait", f"pod/{NAME}", "--for=condition=Ready", f"--timeout={FAULT_SECONDS}s")
    disk.fill()
    yield
    walk.kubectl("-n", PLACE, "delete", f"pod/{NAME}", f"persistentvolumeclaim/{NAME}", "--grace-period=1")
    walk.kubectl("delete", f"persistentvolume/{NAME}")
    disk.unmount()


# The kubelet is the last one: while it is short of memory, its node takes no pod.
@pytest.mark.usefixtures("impatient", "lost_node", "full_volume", "missing_pod", "faulty_kubelet")
@pytest.mark.fires(
    "NodeNotReady",
    "CollectorDown",
    "NodeUnderPressure",
    "NodeCertificateExpires",
    "VolumeFillingUp",
    "VolumeFull",
    "GatewayDegraded",
)
def test_alerts_fire_when_nodes_volumes_and_a_gateway_pod_fail(walk: UserSession, expected: set[str]) -> None:
    eventually(lambda: firing(walk) >= expected, FAULT_SECONDS, detail=lambda: expected - firing(walk))
