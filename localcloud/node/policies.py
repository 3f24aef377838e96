"""Enforces the cluster's network policies at the node's one bridge.

Run as `python -m localcloud.node.policies SETTINGS_HOME SLOT`. The programs of the field that do this ask the kernel for
queues, or for programs of theirs, and not every kernel that runs containers has them.
"""

import logging
import subprocess
import sys
from pathlib import Path

from localcloud.node.mirror import Object, follow
from localcloud.node.policy_rules import ruleset
from localcloud.node.services import POLICIES_HOLD, Cluster
from localcloud.settings import Settings

PATHS = ("/api/v1/namespaces", "/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies")

log = logging.getLogger("policies")


class Enforcer:
    """The kernel's rules, and what of them it has already."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._applied = ""

    def settle(self, namespaces: list[Object], pods: list[Object], policies: list[Object]) -> None:
        """Let the kernel have the rules in place of those before. OSError: it does not take them."""
        wanted = ruleset(namespaces, pods, policies, self._settings.pod_cidr)
        if wanted == self._applied:
            return
        done = subprocess.run(["nft", "-f", "-"], input=wanted, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"nft does not take the rules: {done.stderr.strip()}")
        self._applied = wanted
        (self._settings.node / POLICIES_HOLD).touch()
        log.info("%d policies hold", len(policies))


def main() -> None:
    """Enforce the policies until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings(int(sys.argv[2]), Path(sys.argv[1]))
    follow(Cluster(settings), PATHS, Enforcer(settings).settle)


if __name__ == "__main__":
    main()
