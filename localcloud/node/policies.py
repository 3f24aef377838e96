"""Enforces the cluster's network policies at the node's one bridge.

Run as `python -m localcloud.node.policies SETTINGS_HOME SLOT`. The programs of the field that do this ask the kernel for
queues, or for programs of theirs, and not every kernel that runs containers has them.
"""

import logging
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path

from localcloud.node.policy_rules import Object, log, ruleset
from localcloud.node.services import Cluster
from localcloud.settings import Settings

PATHS = ("/api/v1/namespaces", "/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies")
RETRY_SECONDS = 1.0
SETTLE_SECONDS = 0.05  # changes come in crowds


class Mirror(threading.Thread):
    """The objects of one kind as the API server has them; `changed` is set whenever they are not what they were."""

    def __init__(self, cluster: Cluster, path: str, changed: threading.Event) -> None:
        super().__init__(daemon=True)
        self._cluster, self._path, self._changed = cluster, path, changed
        self._objects: dict[str, Object] | None = None

    def objects(self) -> list[Object] | None:
        """Return all that are there, None before that is known."""
        return None if self._objects is None else list(self._objects.values())

    def run(self) -> None:
        """Follow the API server until the process ends."""
        while True:
            try:
                self._follow()
            except (urllib.error.URLError, OSError, ValueError) as error:
                log.warning("%s: %s", self._path, error)
                time.sleep(RETRY_SECONDS)

    def _follow(self) -> None:
        listed = self._cluster.call("GET", self._path)
        self._objects = {entry["metadata"]["uid"]: entry for entry in listed["items"]}
        self._changed.set()
        for event in self._cluster.watch(self._path, listed["metadata"]["resourceVersion"]):
            found = event["object"]
            if event["type"] == "ERROR":  # it has forgotten what was since
                return
            if event["type"] == "DELETED":
                self._objects.pop(found["metadata"]["uid"], None)
            else:
                self._objects[found["metadata"]["uid"]] = found
            self._changed.set()


def _apply(rules: str) -> bool:
    """Let the kernel have the rules in place of those before; return whether it took them."""
    done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True)
    if done.returncode:
        log.error("%s\n%s", done.stderr.strip(), rules)
    return done.returncode == 0


def main() -> None:
    """Enforce the policies until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    cluster = Cluster(Settings(int(sys.argv[2]), Path(sys.argv[1])))
    changed = threading.Event()
    mirrors = [Mirror(cluster, path, changed) for path in PATHS]
    for mirror in mirrors:
        mirror.start()
    applied = ""
    while changed.wait():
        time.sleep(SETTLE_SECONDS)
        changed.clear()
        namespaces, pods, policies = (mirror.objects() for mirror in mirrors)
        if namespaces is None or pods is None or policies is None:
            continue
        wanted = ruleset(namespaces, pods, policies)
        if wanted == applied:
            continue
        if _apply(wanted):
            applied = wanted
            log.info("%d policies hold", len(policies))
        else:
            time.sleep(RETRY_SECONDS)
            changed.set()


if __name__ == "__main__":
    main()
