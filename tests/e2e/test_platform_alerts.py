"""Faults of tenants, collectors, the gateway and keys are made on a live instance, and the platform's alerts fire."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from components.collectors.settings import NODE
from components.core.names import COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE, PORTS
from components.gateway.gateway import REPLICAS
from tests.support.live_alerts import FAULT_SECONDS, firing
from tests.support.packets import PodNetwork, process_of
from tests.support.polling import eventually
from tests.support.queries import METRICS, asked
from tests.support.user_session import INSTANCE, UserSession, url

SYSTEM = "system-tenant"
START_SECONDS = 180  # until the gateway answers, on a busy machine
RESTARTS = 3  # after which the alert fires
ERRORS = 40  # requests at once, far more than those of the test itself
BROKEN_IMAGE = "registry.invalid/none:1"


@pytest.fixture
def broken_loki(walk: UserSession) -> Iterator[None]:
    """A Loki of a tenant whose image does not exist."""
    place = ("-n", "default-tenant", "statefulset/loki")
    image = walk.kubectl("get", *place, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    walk.kubectl("set", "image", *place, f"loki={BROKEN_IMAGE}")
    yield
    walk.kubectl("set", "image", *place, f"loki={image}")
    walk.kubectl("-n", "default-tenant", "delete", "pod", "loki-0")  # a StatefulSet waits for the broken one
    eventually(lambda: walk.curl(url("loki", "default", "/loki/api/v1/labels"), token=walk.token("default"))[0] == 200)


@pytest.fixture
def broken_collectors(walk: UserSession) -> Iterator[None]:
    """Collectors of nodes whose image the namespace's policy refuses, so that none runs."""
    place = ("-n", COLLECTORS_NAMESPACE, f"daemonset/{NODE}")
    image = walk.kubectl("get", *place, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    walk.kubectl("set", "image", *place, f"collector={BROKEN_IMAGE}")
    walk.kubectl("-n", COLLECTORS_NAMESPACE, "delete", "pods", "-l", f"app.kubernetes.io/name={NODE}")
    yield
    walk.kubectl("set", "image", *place, f"collector={image}")
    walk.kubectl("rollout", "status", *place, f"--timeout={FAULT_SECONDS}s")


@pytest.mark.nightly
@pytest.mark.fires("TenantNotReady", "GatewayErrors")
def test_alerts_fire_when_a_tenant_has_no_loki(
    walk: UserSession, impatient: None, broken_loki: None, expected: set[str]
) -> None:
    labels = url("loki", "default", "/loki/api/v1/labels")

    def is_known() -> bool:
        with ThreadPoolExecutor(ERRORS) as pool:  # the gateway answers 503 after some tries
            pool.map(lambda _: walk.curl(labels, token=walk.token("default")), range(ERRORS))
        return firing(walk) >= expected

    eventually(is_known, FAULT_SECONDS, detail=lambda: firing(walk))


@pytest.mark.nightly
@pytest.mark.fires("CollectorDown", "ClusterMetricsOld")
def test_alerts_fire_when_a_node_has_no_collector(
    walk: UserSession, impatient: None, broken_collectors: None, expected: set[str]
) -> None:
    eventually(lambda: firing(walk) >= expected, FAULT_SECONDS, detail=lambda: firing(walk))


@pytest.fixture
def no_gateway(walk: UserSession) -> Iterator[None]:
    scale = ("-n", GATEWAY_NAMESPACE, "scale", "deployment/gateway")
    walk.kubectl(*scale, "--replicas=0")
    yield
    walk.kubectl(*scale, f"--replicas={REPLICAS}")
    eventually(lambda: asked(walk, METRICS, query="up") != [], START_SECONDS)


@pytest.mark.nightly
@pytest.mark.fires("GatewayDown", "BackEndNotScraped")
def test_alerts_fire_when_the_gateway_has_no_pod(
    walk: UserSession, impatient: None, no_gateway: None, expected: set[str]
) -> None:
    cortex = PodNetwork.of(walk, SYSTEM, "cortex")
    query = ("--data-urlencode", 'query=ALERTS{alertstate="firing"}')
    address = f"http://127.0.0.1:{PORTS['cortex']}/prometheus/api/v1/query"

    def fire() -> bool:
        answer = cortex.output("curl", "-sG", "-H", "X-Scope-OrgID: system", *query, address)
        return {each["metric"]["alertname"] for each in json.loads(answer)["data"]["result"]} >= expected

    eventually(fire, FAULT_SECONDS)


@pytest.mark.nightly
@pytest.mark.fires("ContainerRestarts")
def test_an_alert_fires_when_a_container_restarts_again_and_again(
    walk: UserSession, impatient: None, expected: set[str]
) -> None:
    pod = ("-n", "default-tenant", "pod/loki-0")

    def is_another(killed: int) -> bool:
        return process_of(walk, "default-tenant", "loki-0", "loki") not in (None, killed)

    for _ in range(RESTARTS):
        killed = process_of(walk, "default-tenant", "loki-0", "loki")
        assert killed
        os.kill(killed, signal.SIGKILL)
        eventually(partial(is_another, killed), FAULT_SECONDS)
        walk.kubectl("wait", *pod, "--for=condition=Ready", f"--timeout={FAULT_SECONDS}s")
    eventually(lambda: firing(walk) >= expected, FAULT_SECONDS, detail=lambda: firing(walk))


@pytest.mark.nightly
@pytest.mark.fires("KeyExpires")
def test_an_alert_fires_when_a_key_ends_soon(walk: UserSession, keys_as_before: None, expected: set[str]) -> None:
    walk.opstrace("ta-create-keypair", "ending.pem")
    walk.opstrace("ta-pubkeys-add", "local", INSTANCE, "ending.pem", "--not-after", "3d")
    eventually(lambda: firing(walk) >= expected, FAULT_SECONDS, detail=lambda: firing(walk))
