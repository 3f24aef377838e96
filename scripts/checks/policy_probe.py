"""Whether the cluster enforces network policies, by a live probe.

Two pods of the gateway's image start in a namespace of their own. One must reach the other, until a policy closes that
pod; then it must not. Settings of network plugins tell less: a switch may be on while its agent runs on no node.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from components.core.images import ENVOY_IMAGE
from components.core.tags import NAME_LABEL, PART_OF_LABEL
from components.shared.pod_settings import PLAIN_PODS, PodSettings
from components.shared.pods import NAMESPACE_POD_SECURITY, POD_SECURITY_CONTEXT, Container
from scripts.checks.finding import Finding, error, ok, warning
from scripts.checks.subject import Subject
from scripts.clients.kubernetes import Cluster

NAME = "network policies"
SETTING = "opstrace:cluster.enforcesNetworkPolicies"
OPEN_PORT, LOCAL_PORT = 8080, 8081
TARGET_HEADER = "x-envoy-original-dst-host"  # names the address to which Envoy sends a request
CLIENT, SERVER = "client", "server"
LIFE_SECONDS = 300  # after it, the pods end, even if nobody deletes them
# Together less than the preflight has, with the time for the last requests: at its deadline, a command may end without
# deleting the pods.
START_SECONDS = 7.0  # for the start of the pods, on nodes that have the image
ENFORCE_SECONDS = 6.0  # until a policy is in force for pods that run already
POLL_SECONDS = 0.5
OPEN = "any pod of the cluster can read and write the data of every tenant without a token, past the gateway"
ENABLE = "enable them in the network plugin, for the VPC CNI with enableNetworkPolicy (docs/how-to/aws.md)"


def _listener(name: str, address: str, port: int, route: Mapping[str, Any]) -> dict[str, Any]:
    hosts = [{"name": name, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"name": name, "virtual_hosts": hosts},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": address, "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def envoy_config() -> dict[str, Any]:
    """Return the configuration of both pods: they answer everybody, and ask other addresses for their own loopback only."""
    cluster = {
        "name": "other",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "1s",
        "original_dst_lb_config": {"use_http_header": True, "http_header_name": TARGET_HEADER},
        # A policy may leave connections open that existed before it, so each request gets a connection of its own.
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"max_requests_per_connection": 1},
            }
        },
    }
    listeners = [
        _listener("open", "0.0.0.0", OPEN_PORT, {"direct_response": {"status": 200}}),  # noqa: S104 the probe's target
        _listener("local", "127.0.0.1", LOCAL_PORT, {"route": {"cluster": "other", "timeout": "2s"}}),
    ]
    return {"static_resources": {"listeners": listeners, "clusters": [cluster]}}


def _labels(name: str) -> dict[str, str]:
    return {NAME_LABEL: name, PART_OF_LABEL: "opstrace"}


def manifests(namespace: str, image: str, settings: PodSettings = PLAIN_PODS) -> list[dict[str, Any]]:
    """Return the namespace of the probe and its two pods."""
    envoy = Container(
        name="envoy",
        image=image,
        args=["--config-yaml", json.dumps(envoy_config()), "--disable-hot-restart", "--concurrency", "1"],
        ports={"open": OPEN_PORT},
        probe=("/", "open"),
        requests={"cpu": "10m", "memory": "32Mi"},
        memory_limit="128Mi",
    ).manifest()
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFE_SECONDS,
        "terminationGracePeriodSeconds": 0,
        "securityContext": POD_SECURITY_CONTEXT,
        "containers": [envoy],
    }
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": _labels(name)},
            "spec": settings.applied(spec),
        }
        for name in (CLIENT, SERVER)
    ]
    metadata = {"name": namespace, "labels": _labels("probe") | NAMESPACE_POD_SECURITY}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, *pods]


def closing_policy(namespace: str) -> dict[str, Any]:
    """Return the policy that closes the server to all pods."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed", "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": {NAME_LABEL: SERVER}}, "policyTypes": ["Ingress"]},
    }


def _eventually(check: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True


class Probe:
    """The two pods of a probe. `close` deletes them, and everything else that the probe created."""

    def __init__(self, cluster: Cluster, image: str, settings: PodSettings = PLAIN_PODS) -> None:
        self._cluster, self._image, self._settings = cluster, image, settings
        self._namespace = f"opstrace-probe-{secrets.token_hex(4)}"
        self._server = ""

    def start(self, seconds: float) -> bool:
        """Start the pods; return whether one reaches the other, after `seconds` at most."""
        for manifest in manifests(self._namespace, self._image, self._settings):
            self._cluster.create(manifest)

        def is_reached() -> bool:
            pod = self._cluster.get("v1", "Pod", SERVER, self._namespace) or {}
            self._server = pod.get("status", {}).get("podIP", "")
            return bool(self._server) and self.is_reached()

        return _eventually(is_reached, seconds)

    def is_reached(self) -> bool:
        """Return whether the client reaches the server now."""
        return self._asks(self._server)

    def _asks(self, address: str) -> bool:
        """Return whether the client gets an answer from the open port of an address."""
        target = {TARGET_HEADER: f"{address}:{OPEN_PORT}"}
        return self._cluster.ask(self._namespace, CLIENT, LOCAL_PORT, "/", target) is not None

    def _both_answer(self) -> bool:
        """Return whether both pods answer requests that no policy closes: without, silence proves nothing."""
        answer = self._cluster.ask(self._namespace, SERVER, OPEN_PORT, "/", {})
        return answer is not None and self._asks("127.0.0.1")

    def is_closed(self, seconds: float) -> bool:
        """Close the server by a policy; return whether the client no longer reaches it, after `seconds` at most."""
        self._cluster.create(closing_policy(self._namespace))
        return _eventually(lambda: not self.is_reached() and self._both_answer(), seconds)

    def state(self) -> str:
        """Return why the pods do not run, in the words of the cluster."""
        pods = self._cluster.objects("pods", self._namespace, {})
        texts = [f"{pod['metadata']['name']} is {pod.get('status', {}).get('phase', 'unknown')}" for pod in pods]
        events = self._cluster.objects("events", self._namespace, {"fieldSelector": "type=Warning"})
        return "; ".join(dict.fromkeys([*texts, *(str(event.get("message")) for event in events)])) or "no pods"

    def close(self) -> None:
        """Delete the namespace of the probe, without waiting."""
        self._cluster.delete("v1", "Namespace", self._namespace)


def probe_policies(
    probe: Probe,
    *,
    declared: bool | None,
    start_seconds: float = START_SECONDS,
    enforce_seconds: float = ENFORCE_SECONDS,
) -> Finding:
    """Return whether the cluster enforces network policies, by two pods that exist for some seconds.

    `declared` is the setting of the stack file. Raises `UserError` if the cluster does not answer, or refuses the pods.
    """
    try:
        if not probe.start(start_seconds):
            message = f"not proven: the two pods of the probe did not reach each other in {start_seconds:.0f} s"
            remedy = "run this again if the nodes had to pull the image first, else see why the pods cannot start"
            return warning(NAME, f"{message}: {probe.state()}", remedy)
        return verdict(enforced=probe.is_closed(enforce_seconds), declared=declared)
    finally:
        probe.close()


def find_enforcement(subject: Subject) -> list[Finding]:
    """Check by a live probe that the cluster enforces network policies."""
    declared = subject.config.cluster.enforces_network_policies
    settings = subject.config.platform.pod_settings
    probe = Probe(subject.cluster, settings.images.pinned(ENVOY_IMAGE, subject.domain), settings)
    return [probe_policies(probe, declared=declared)]


def verdict(*, enforced: bool, declared: bool | None) -> Finding:
    """Return what the result of a probe means for a stack whose setting is `declared`."""
    if enforced and declared:
        return ok(NAME, "enforced: a pod no longer reached another one after a policy closed it")
    if enforced:
        return warning(NAME, f"enforced, but {SETTING} is not true", "set it to true")
    message = f"not enforced: a pod still reached another one after a policy closed it, so {OPEN}"
    if declared is False:
        return warning(NAME, message, ENABLE)
    return error(NAME, message, f"{ENABLE}, or set {SETTING} to false to accept that")
