"""Volumes of the storage class `local`: a folder on this machine for each claim, as local-path-provisioner does.

Run as `python -m localcloud.node.volumes SETTINGS_HOME SLOT`.
"""

import functools
import logging
import shutil
import sys
import urllib.error
from pathlib import Path
from typing import Any

from localcloud.node.mirror import Object, follow
from localcloud.node.services import Cluster
from localcloud.settings import Settings

STORAGE_CLASS = "local"
PROVISIONER = "localcloud.opstrace/folder"
SELECTED_NODE = "volume.kubernetes.io/selected-node"  # set by the scheduler
CONFLICT, NOT_FOUND = 409, 404
CLAIMS, VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"

log = logging.getLogger("volumes")


def storage_class() -> dict[str, Any]:
    """Return the manifest of the storage class, the cluster's default one."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        # As of EBS volumes. With `Immediate` a pod can be tried between its claim's volume and their binding, and then
        # waits for the scheduler's next look at all that it gave up, minutes later.
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume(claim: dict[str, Any], folder: Path, node: str) -> dict[str, Any]:
    """Return the manifest of the volume that serves `claim` from `folder`."""
    metadata = claim["metadata"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": f"pvc-{metadata['uid']}",
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }


def _waits(claim: dict[str, Any]) -> bool:
    """Tell whether a pod with this claim has its node, and its volume is not there yet."""
    ours = claim["spec"].get("storageClassName") == STORAGE_CLASS and not claim["spec"].get("volumeName")
    return bool(ours and SELECTED_NODE in claim["metadata"].get("annotations", {}))


def _tried(cluster: Cluster, method: str, path: str, over: int, body: Any = None) -> bool:
    """Ask for a change, and return whether it was made: the code `over` says that it was already."""
    try:
        cluster.call(method, path, body)
    except urllib.error.HTTPError as error:
        if error.code != over:
            raise
        return False
    return True


def reconcile(cluster: Cluster, settings: Settings, claims: list[Object], volumes: list[Object]) -> None:
    """Make a volume for each claim that waits for one, and remove those whose claim is gone."""
    for claim in filter(_waits, claims):
        wanted = volume(claim, settings.node / "volumes" / claim["metadata"]["uid"], settings.name)
        Path(wanted["spec"]["local"]["path"]).mkdir(exist_ok=True)
        if _tried(cluster, "POST", VOLUMES, CONFLICT, wanted):
            log.info("made %s", wanted["metadata"]["name"])
    for found in volumes:
        released = found.get("status", {}).get("phase") in ("Released", "Failed")
        if found["spec"].get("storageClassName") == STORAGE_CLASS and released:
            shutil.rmtree(found["spec"]["local"]["path"], ignore_errors=True)
            if _tried(cluster, "DELETE", f"{VOLUMES}/{found['metadata']['name']}", NOT_FOUND):
                log.info("removed %s", found["metadata"]["name"])


def main() -> None:
    """Serve the storage class until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings(int(sys.argv[2]), Path(sys.argv[1]))
    cluster = Cluster(settings)
    follow(cluster, (CLAIMS, VOLUMES), functools.partial(reconcile, cluster, settings))


if __name__ == "__main__":
    main()
