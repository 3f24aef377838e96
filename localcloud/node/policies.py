"""Enforces the cluster's network policies at the bridge of the node's pods.

Run as `python -m localcloud.node.policies SETTINGS_HOME SLOT`. The common programs for this need netfilter queues or
eBPF, which some kernels that run containers lack.
"""

import logging
import subprocess
import sys
from pathlib import Path

from localcloud.node.policy_rules import ruleset
from localcloud.node.services import POLICIES_ENFORCED, Cluster
from localcloud.node.watch import Object, follow
from localcloud.settings import Settings

PATHS = ("/api/v1/namespaces", "/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies")

log = logging.getLogger("policies")


class Enforcer:
    """Keeps the kernel's rules equal to the policies."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._applied = ""

    def settle(self, namespaces: list[Object], pods: list[Object], policies: list[Object]) -> None:
        """Replace the kernel's rules if they have changed; raises `OSError` where the kernel refuses them."""
        rules = ruleset(namespaces, pods, policies, self._settings.pod_cidr)
        if rules == self._applied:
            return
        result = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False)
        if result.returncode:
            raise OSError(f"nft refuses the rules: {result.stderr.strip()}")
        self._applied = rules
        (self._settings.node / POLICIES_ENFORCED).touch()
        log.info("%d policies are enforced", len(policies))


def main() -> None:
    """Enforce the policies until the process ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = Settings(int(sys.argv[2]), Path(sys.argv[1]))
    follow(Cluster(settings), PATHS, Enforcer(settings).settle)


if __name__ == "__main__":
    main()
