"""When a Service is ready: it has an address, and its endpoints have settled (provider/pkg/await/service.go).

The official plugin waits 10 s after the last change of the endpoints, so each new Service takes at least as long.
"""

import time
from typing import Any

from localcloud.plugins.kubernetes.api import KubernetesApi

Object = dict[str, Any]
SETTLE_SECONDS = 10.0
NO_PODS = (
    "Service does not target any Pods. Selected Pods may not be ready, or field '.spec.selector' may not match labels on "
    "any Pods"
)
NO_ADDRESS = "Service was not allocated an IP address; does your cloud provider support this?"


class ServiceRule:
    """Says what a Service still lacks, each time that it is called; it remembers when the endpoints changed."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        self._version: str | None = None
        self._changed = 0.0

    def __call__(self, service: Object) -> str | None:
        """Return what is missing, None if the Service is ready."""
        spec = service["spec"]
        addresses = service.get("status", {}).get("loadBalancer", {}).get("ingress")
        if spec.get("type") == "LoadBalancer" and not addresses:
            return NO_ADDRESS
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
            return None
        return self._endpoints(service["metadata"])

    def _endpoints(self, metadata: Object) -> str | None:
        endpoints = self._api.get(f"/api/v1/namespaces/{metadata['namespace']}/endpoints/{metadata['name']}")
        if endpoints is None:
            return NO_PODS
        version = endpoints["metadata"]["resourceVersion"]
        if version != self._version:
            self._version, self._changed = version, time.monotonic()
        subsets = endpoints.get("subsets") or []
        if any(subset.get("notReadyAddresses") for subset in subsets):
            has_ready = any(subset.get("addresses") for subset in subsets)
            return "some of its Pods are not ready" if has_ready else NO_PODS
        if time.monotonic() < self._changed + SETTLE_SECONDS:
            return f"its endpoints changed less than {SETTLE_SECONDS:.0f} s ago"
        return None
