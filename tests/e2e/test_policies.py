"""The network policies, by packets between pods that bypass the gateway, and the probe that shows whether they hold."""

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from components.core.images import ENVOY_IMAGE
from components.core.names import GATEWAY_NAMESPACE, PORTS
from components.gateway.settings import ADMIN_PORT, HEALTH_PORT, LISTEN_PORT, METRICS_PORT
from scripts.checks.policy_probe import NAME, Probe, probe_policies, verdict
from scripts.clients.kubernetes import Cluster
from tests.support.packets import PodNetwork, enforcer
from tests.support.polling import eventually
from tests.support.shell import run
from tests.support.user_session import SLOT, UserSession

METADATA, POD_IDENTITY = "169.254.169.254", "169.254.170.23"


def test_a_tenant_s_pods_are_reached_by_the_gateway_and_by_each_other_alone(walk: UserSession) -> None:
    cortex, loki = (PodNetwork.of(walk, "default-tenant", name) for name in ("cortex", "loki"))
    stranger = PodNetwork.of(walk, "system-tenant", "cortex")
    gateway = PodNetwork.of(walk, GATEWAY_NAMESPACE, "gateway")
    ports = {cortex: PORTS["cortex"], loki: PORTS["loki"]}
    service = walk.kubectl("-n", "default-tenant", "get", "service", "cortex", "-o", "jsonpath={.spec.clusterIP}")
    assert service != "None"
    for pod, port in ports.items():
        address = f"{pod.address}:{port}"
        assert {other: other.reaches(address) for other in (gateway, cortex, loki, stranger)} == {
            gateway: True,
            cortex: True,
            loki: True,
            stranger: False,
        }
        assert not stranger.reaches(f"{pod.link_local()}:{port}")
    assert gateway.reaches(service) and not stranger.reaches(service)
    # Like any client without the load balancer's PROXY header.
    assert stranger.is_cut_off(f"{gateway.address}:{LISTEN_PORT}")
    assert not stranger.reaches(f"{gateway.address}:{HEALTH_PORT}")  # only probes of its node do
    assert not stranger.reaches(f"{gateway.address}:{METRICS_PORT}")
    assert not stranger.reaches(f"{gateway.address}:{ADMIN_PORT}")
    assert gateway.is_refused(f"{gateway.address}:{ADMIN_PORT}")  # it listens on the pod's loopback only


@pytest.fixture
def link_local(walk: UserSession) -> Iterator[None]:
    """Servers at the addresses of EC2's metadata and of EKS Pod Identity: a pod that no client of the test is."""
    server, node = PodNetwork.of(walk, "system-tenant", "cortex"), enforcer(SLOT)
    for address in (METADATA, POD_IDENTITY):
        server.command("ip", "address", "add", f"{address}/32", "dev", "lo")
        run("nsenter", "-t", node, "-n", "ip", "route", "add", f"{address}/32", "via", server.address)
    yield
    for address in (METADATA, POD_IDENTITY):
        run("nsenter", "-t", node, "-n", "ip", "route", "delete", f"{address}/32")
        server.command("ip", "address", "delete", f"{address}/32", "dev", "lo")


def test_pods_reach_pod_identity_and_not_the_metadata_of_their_node(walk: UserSession, link_local: None) -> None:
    pods = [PodNetwork.of(walk, "default-tenant", name) for name in ("cortex", "loki")]
    for pod in (*pods, PodNetwork.of(walk, GATEWAY_NAMESPACE, "gateway")):
        assert pod.reaches(f"{POD_IDENTITY}:{PORTS['cortex']}")
        assert not pod.reaches(f"{METADATA}:{PORTS['cortex']}")


def cluster_of(walk: UserSession) -> Cluster:
    config: Any = SimpleNamespace(cluster=SimpleNamespace(context=None))
    return Cluster(walk.shell, config)


def test_the_probe_finds_out_that_policies_are_enforced(walk: UserSession) -> None:
    found = probe_policies(Probe(cluster_of(walk), ENVOY_IMAGE), declared=True, start_seconds=60, enforce_seconds=30)
    assert (found.name, found.level) == (NAME, "ok"), found
    eventually(lambda: "opstrace-probe-" not in walk.kubectl("get", "namespaces", "-o", "name"))


def test_the_probe_finds_out_that_policies_are_not_enforced(walk: UserSession) -> None:
    probe, process = Probe(cluster_of(walk), ENVOY_IMAGE), int(enforcer(SLOT))
    try:
        assert probe.start(60)
        os.kill(process, signal.SIGSTOP)  # the rules of the kernel stay as they are
        enforced = probe.is_closed(5)
    finally:
        os.kill(process, signal.SIGCONT)
        probe.close()
    assert not enforced and verdict(enforced=enforced, declared=True).level == "error"
