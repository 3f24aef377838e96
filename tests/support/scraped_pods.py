"""Pods that serve a metric and one of the platform's, and the annotations by which the collectors scrape them."""

from pathlib import Path
from typing import Any

from localcloud.certificate_authority import Authority
from localcloud.settings import Settings
from tests.support.envoy_server import answer, command_line, http_listener, pod_spec

METRIC = "orders"
FORGED = "cortex_build_info"  # with labels as if it were of the Cortex of a tenant
TEXT = f'# TYPE {METRIC} gauge\n{METRIC} 7\n{FORGED}{{job="cortex",namespace="default-tenant",tenant="forged"}} 1\n'
PORT, PATH = 8080, "/metrics"
OTHER_PORT, OTHER_PATH = 8443, "/shop/orders"
SCRAPED = {"prometheus.io/scrape": "true"}
ELSEWHERE = SCRAPED | {
    "prometheus.io/scheme": "https",
    "prometheus.io/port": str(OTHER_PORT),
    "prometheus.io/path": OTHER_PATH,
}
"""The annotations of the pods of `elsewhere`."""


def usual(container: str, *, log: str = "", level: str = "info", **parts: Any) -> dict[str, Any]:
    """Return the spec of a pod that declares its port and serves the metric at the path of most programs.

    Args:
        container: The name of its container.
        log: The format of the line that it writes for each request. Without it, it writes none.
        level: That of the program's own log.
        parts: Further parts of the container.
    """
    words = command_line(http_listener(PORT, [answer(TEXT, PATH)], log=log), level=level)
    return pod_spec(container, words, ports=[{"containerPort": PORT}], **parts)


def elsewhere(container: str, folder: Path) -> dict[str, Any]:
    """Return the spec of a pod that declares no port, and serves the metric by TLS, with a certificate that nobody knows."""
    certificate = Authority.of(Settings(1, folder)).issue(container, names=["shop.example.com"])
    listener = http_listener(OTHER_PORT, [answer(TEXT, OTHER_PATH)], certificate=certificate)
    return pod_spec(container, command_line(listener))
