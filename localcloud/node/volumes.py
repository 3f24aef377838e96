"""Volumes of the storage class `local`: a folder on this machine for each claim, like those of local-path-provisioner.

Run as `python -m localcloud.node.volumes SETTINGS_HOME SLOT`.
"""

import functools
import logging
import shutil
import sys
import urllib.error
from pathlib import Path
from typing import Any

from localcloud.node.services import Cluster
from localcloud.node.watch import Object, follow
from localcloud.settings import Settings

STORAGE_CLASS = "local"
PROVISIONER = "localcloud.opstrace/folder"
SELECTED_NODE = "volume.kubernetes.io/selected-node"  # set by the scheduler
CONFLICT, NOT_FOUND = 409, 404
CLAIMS, VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"

log = logging.getLogger("volumes")


def storage_class() -> dict[str, Any]:
    """Return the manifest of the storage class, which is the cluster's default."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        # Like EBS volumes. With `Immediate` the scheduler can try a pod before its claim is bound to the volume, and then
        # retries it only minutes later.
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume(claim: dict[str, Any], folder: Path, node: str) -> dict[str, Any]:
    """Return the manifest of the volume for `claim`, which stores its data in `folder`."""
    metadata = claim["metadata"]
    on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
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
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
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
    """Tell whether a pod with this claim is scheduled, but the claim has no volume yet."""
    is_local = claim["spec"].get("storageClassName") == STORAGE_CLASS and not claim["spec"].get("volumeName")
    return bool(is_local and SELECTED_NODE in claim["metadata"].get("annotations", {}))


def _changed(cluster: Cluster, method: str, path: str, unneeded: int, body: Any = None) -> bool:
    """Request a change; return False where the answer is the status `unneeded`: no change was needed."""
    try:
        cluster.call(method, path, body)
    except urllib.error.HTTPError as error:
        if error.code != unneeded:
            raise
        return False
    return True


def reconcile(cluster: Cluster, settings: Settings, claims: list[Object], volumes: list[Object]) -> None:
    """Create a volume for each claim that waits for one, and remove the volumes whose claim is gone."""
    for claim in filter(_waits, claims):
        manifest = volume(claim, settings.node / "volumes" / claim["metadata"]["uid"], settings.name)
        Path(manifest["spec"]["local"]["path"]).mkdir(exist_ok=True)
        if _changed(cluster, "POST", VOLUMES, CONFLICT, manifest):
            log.info("created %s", manifest["metadata"]["name"])
    for existing in volumes:
        is_released = existing.get("status", {}).get("phase") in ("Released", "Failed")
        if existing["spec"].get("storageClassName") == STORAGE_CLASS and is_released:
            shutil.rmtree(existing["spec"]["local"]["path"], ignore_errors=True)
            if _changed(cluster, "DELETE", f"{VOLUMES}/{existing['metadata']['name']}", NOT_FOUND):
                log.info("removed %s", existing["metadata"]["name"])


def main() -> None:
    """Provide the storage class until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings(int(sys.argv[2]), Path(sys.argv[1]))
    cluster = Cluster(settings)
    follow(cluster, (CLAIMS, VOLUMES), functools.partial(reconcile, cluster, settings))


if __name__ == "__main__":
    main()
