"""Enforces the cluster's network policies at the node's one bridge.

Run as `python -m localcloud.node.policies SETTINGS_HOME SLOT`. The programs of the field that do this ask the kernel for
queues, or for programs of theirs, and not every kernel that runs containers has them.
"""

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

from localcloud.node.mirror import RETRY_SECONDS, Mirror
from localcloud.node.policy_rules import ruleset
from localcloud.node.services import POLICIES_HOLD, Cluster
from localcloud.settings import Settings

PATHS = ("/api/v1/namespaces", "/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies")
SETTLE_SECONDS = 0.05  # changes come in crowds

log = logging.getLogger("policies")


def _apply(rules: str) -> bool:
    """Let the kernel have the rules in place of those before; return whether it took them."""
    done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True)
    if done.returncode:
        log.error("nft does not take the rules: %s", done.stderr.strip())
    return done.returncode == 0


def main() -> None:
    """Enforce the policies until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings(int(sys.argv[2]), Path(sys.argv[1]))
    cluster = Cluster(settings)
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
        wanted = ruleset(namespaces, pods, policies, settings.pod_cidr)
        if wanted == applied:
            continue
        if _apply(wanted):
            applied = wanted
            (settings.node / POLICIES_HOLD).touch()
            log.info("%d policies hold", len(policies))
        else:
            time.sleep(RETRY_SECONDS)
            changed.set()


if __name__ == "__main__":
    main()
