"""Whether the cluster has a storage class for the back ends' volumes.

EKS has no default class since Kubernetes 1.30, and has no class `gp3` unless somebody creates it. Pods whose claims name
a class that does not exist stay Pending.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from scripts.checks.finding import Finding
from scripts.clients.kubernetes import Cluster

NAME = "storage class"
SETTING = "opstrace:cluster.storageClass"
GUIDE = "docs/how-to/aws.md, 'Make a storage class'"
DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
EBS_DRIVER = "ebs.csi.aws.com"
# Kubernetes hands volumes of the first one, which was part of itself, to the driver. The last one is EKS Auto Mode's.
NEEDS_EBS_DRIVER = ("kubernetes.io/aws-ebs", EBS_DRIVER)
EBS = (*NEEDS_EBS_DRIVER, "ebs.csi.eks.amazonaws.com")
LATE = "WaitForFirstConsumer"

StorageClass = Mapping[str, Any]


def check_storage_class(classes: Sequence[StorageClass], drivers: Collection[str], wanted: str | None) -> Finding:
    """Return whether volumes of the class `wanted` can be created; None stands for the cluster's default class.

    `classes` are the cluster's storage classes, and `drivers` the names of its CSI drivers.
    """
    chosen = _default(classes) if wanted is None else _named(classes, wanted)
    if chosen is None:
        return _missing(classes, wanted)
    name, provisioner = chosen["metadata"]["name"], chosen["provisioner"]
    if provisioner in NEEDS_EBS_DRIVER and EBS_DRIVER not in drivers:
        return Finding(
            name=NAME,
            level="error",
            message=f"{name} needs the driver {EBS_DRIVER}, which is not installed: no volume can be created",
            remedy="install it: `aws eks create-addon --addon-name aws-ebs-csi-driver` with your cluster's name and a role",
        )
    problems = [*_problems(chosen)]
    if problems:
        remedy = f"create another class and set {SETTING} to it: {GUIDE}"
        return Finding(name=NAME, level="warning", message=f"{name}: {'; '.join(problems)}", remedy=remedy)
    return Finding(name=NAME, level="ok", message=name if wanted else f"{name}, the cluster's default class")


def _named(classes: Sequence[StorageClass], name: str) -> StorageClass | None:
    return next((entry for entry in classes if entry["metadata"]["name"] == name), None)


def _default(classes: Sequence[StorageClass]) -> StorageClass | None:
    """Return the default class; of several, the newest, as Kubernetes does."""
    marked = [
        entry
        for entry in classes
        if any((entry["metadata"].get("annotations") or {}).get(name) == "true" for name in DEFAULT_ANNOTATIONS)
    ]
    return max(marked, key=lambda entry: str(entry["metadata"].get("creationTimestamp", "")), default=None)


def _missing(classes: Sequence[StorageClass], wanted: str | None) -> Finding:
    present = ", ".join(sorted(entry["metadata"]["name"] for entry in classes))
    if wanted is None:
        message = f"the cluster has no default storage class, and {SETTING} is not set"
    else:
        message = f"the cluster has no storage class {wanted} ({SETTING})"
    return Finding(
        name=NAME,
        level="error",
        message=f"{message}; it has {present or 'none'}. The pods of the back ends would stay Pending",
        remedy=f"set {SETTING} to a class that exists, or create one: {GUIDE}",
    )


def _problems(chosen: StorageClass) -> list[str]:
    problems = []
    mode = chosen.get("volumeBindingMode", "Immediate")
    if mode != LATE:
        problems.append(
            f"volumeBindingMode is {mode}, so volumes can be in zones where no node has room for their pods; "
            f"it should be {LATE}"
        )
    # The driver takes the names of parameters in any case.
    parameters = {name.lower(): value for name, value in (chosen.get("parameters") or {}).items()}
    if chosen["provisioner"] in EBS and parameters.get("encrypted") != "true":
        problems.append("volumes are not encrypted, unless EBS encryption by default is on in the region")
    return problems


def storage_class_finding(cluster: Cluster, wanted: str | None) -> Finding:
    """Return whether volumes of the class `wanted` can be created in `cluster`; raises `UserError` as the client does."""
    drivers = [driver["metadata"]["name"] for driver in cluster.objects("csidrivers", None, {})]
    return check_storage_class(cluster.objects("storageclasses", None, {}), drivers, wanted)
