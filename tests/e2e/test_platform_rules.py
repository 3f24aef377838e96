"""The platform's rules on a live instance: they have data, and alerts fire and arrive when the fault is made."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from components.collectors.rules import mounted
from components.collectors.rules.file import groups, rule_file
from components.collectors.rules.rule import Recording
from components.collectors.settings import NODE
from components.core.names import COLLECTORS_NAMESPACE, GATEWAY_NAMESPACE, PORTS
from components.gateway.gateway import REPLICAS
from localcloud.user_cluster import local_address
from tests.support.expressions import metrics
from tests.support.packets import PodNetwork, process_of
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.user_session import INSTANCE, UserSession, url

RULES = [rule for group in groups({}) for rule in group.rules]
# These appear with the first fault, with a limited key, or with an Alertmanager.
RARE = {
    "cortex_alertmanager_notifications_failed_total",
    "cortex_ingester_shipper_upload_failures_total",
    "cortex_prometheus_notifications_errors_total",
    "kubelet_certificate_manager_client_expiration_seconds",
    "opstrace_key_not_after_seconds",
    *(
        f"otelcol_exporter_{kind}_failed_{data}_total"
        for kind in ("send", "enqueue")
        for data in ("log_records", "metric_points")
    ),
}
SYSTEM = "system-tenant"
START_SECONDS = 180  # until the collectors and the ruler have run, on a busy machine
RESTARTS = 3  # after which the alert fires
ERRORS = 40  # requests at once, far more than those of the test itself
FAULT_SECONDS = 420  # until an alert fires that waits for data to be five minutes old
BROKEN_IMAGE = "registry.invalid/none:1"


def asked(walk: UserSession, query: str) -> list[dict[str, Any]]:
    """Return the answer to a query in the system tenant; empty while it does not answer."""
    address = f"{url('cortex', 'system', '/api/v1/query')}?{urlencode({'query': query})}"
    status, text = walk.curl(address, token=walk.token("system"))
    return list(json.loads(text)["data"]["result"]) if status == 200 else []


def names(walk: UserSession, query: str, label: str) -> set[str]:
    """Return the values of a label in the answer to a query."""
    return {entry["metric"][label] for entry in asked(walk, query)}


def firing(walk: UserSession) -> set[str]:
    return names(walk, 'ALERTS{alertstate="firing"}', "alertname")


def test_the_platform_s_rules_are_in_force(walk: UserSession) -> None:
    eventually(lambda: "Watchdog" in firing(walk), START_SECONDS, detail=lambda: firing(walk))


def test_what_rules_read_has_data(walk: UserSession) -> None:
    recorded = {rule.record for rule in RULES if isinstance(rule, Recording)}
    read = {name for rule in RULES for name in metrics(rule.expr)} | recorded

    def missing() -> set[str]:
        found = names(walk, f'group by (__name__) ({{__name__=~"{"|".join(sorted(read))}"}})', "__name__")
        return read - found - RARE

    assert len(read) > 40
    eventually(lambda: missing() == set(), START_SECONDS, detail=missing)


def test_the_ruler_of_the_system_tenant_takes_no_rules_by_its_api(walk: UserSession) -> None:
    group = json.dumps({"name": "a", "rules": [{"record": "a:b", "expr": "1"}]})
    rules = url("cortex", "system", "/api/v1/rules/team")
    arguments = ("-X", "POST", "-H", "Content-Type: application/yaml", "--data-binary", group)
    status, text = walk.curl(rules, *arguments, token=walk.token("system"))
    assert status == 500 and "unsupported" in text


@pytest.fixture
def impatient(walk: UserSession) -> Iterator[None]:
    """The platform's alerts once more, as the operator's own rules: without a wait, and evaluated often."""
    rules = json.loads(rule_file({}))
    for group in rules["groups"]:
        group["interval"] = "5s"
        group["rules"] = [rule | ({"for": "0s"} if "alert" in rule else {}) for rule in group["rules"]]
    file = walk.folder / "impatient.yaml"
    file.write_text(json.dumps(rules))
    walk.kubectl("-n", SYSTEM, "create", "configmap", mounted.OWN, f"--from-file={file}")
    yield
    walk.kubectl("-n", SYSTEM, "delete", "configmap", mounted.OWN)


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
def test_alerts_fire_when_a_tenant_has_no_loki(walk: UserSession, impatient: None, broken_loki: None) -> None:
    labels = url("loki", "default", "/loki/api/v1/labels")

    def is_known() -> bool:
        with ThreadPoolExecutor(ERRORS) as pool:  # the gateway answers 503 after some tries
            pool.map(lambda _: walk.curl(labels, token=walk.token("default")), range(ERRORS))
        return firing(walk) >= {"TenantNotReady", "GatewayErrors"}

    eventually(is_known, FAULT_SECONDS, detail=lambda: firing(walk))


@pytest.mark.nightly
def test_alerts_fire_when_a_node_has_no_collector(walk: UserSession, impatient: None, broken_collectors: None) -> None:
    expected = {"CollectorDown", "ClusterMetricsOld"}
    eventually(lambda: firing(walk) >= expected, FAULT_SECONDS, detail=lambda: firing(walk))


@pytest.fixture
def no_gateway(walk: UserSession) -> Iterator[None]:
    scale = ("-n", GATEWAY_NAMESPACE, "scale", "deployment/gateway")
    walk.kubectl(*scale, "--replicas=0")
    yield
    walk.kubectl(*scale, f"--replicas={REPLICAS}")
    eventually(lambda: asked(walk, "up") != [], START_SECONDS)


@pytest.mark.nightly
def test_an_alert_fires_when_the_gateway_has_no_pod(walk: UserSession, impatient: None, no_gateway: None) -> None:
    cortex = PodNetwork.of(walk, SYSTEM, "cortex")
    query = ("--data-urlencode", 'query=ALERTS{alertname="GatewayDown",alertstate="firing"}')
    address = f"http://127.0.0.1:{PORTS['cortex']}/prometheus/api/v1/query"

    def fires() -> bool:
        answer = cortex.output("curl", "-sG", "-H", "X-Scope-OrgID: system", *query, address)
        return bool(json.loads(answer)["data"]["result"])

    eventually(fires, FAULT_SECONDS)


@pytest.mark.nightly
def test_an_alert_fires_when_a_container_restarts_again_and_again(walk: UserSession, impatient: None) -> None:
    pod = ("-n", "default-tenant", "pod/loki-0")

    def is_another(killed: int) -> bool:
        return process_of(walk, "default-tenant", "loki-0", "loki") not in (None, killed)

    for _ in range(RESTARTS):
        killed = process_of(walk, "default-tenant", "loki-0", "loki")
        assert killed
        os.kill(killed, signal.SIGKILL)
        eventually(partial(is_another, killed), FAULT_SECONDS)
        walk.kubectl("wait", *pod, "--for=condition=Ready", f"--timeout={FAULT_SECONDS}s")
    eventually(lambda: "ContainerRestarts" in firing(walk), FAULT_SECONDS, detail=lambda: firing(walk))


@pytest.mark.nightly
def test_an_alert_fires_when_a_key_ends_soon(walk: UserSession, keys_as_before: None) -> None:
    walk.opstrace("ta-create-keypair", "ending.pem")
    walk.opstrace("ta-pubkeys-add", "local", INSTANCE, "ending.pem", "--not-after", "3d")
    eventually(lambda: "KeyExpires" in firing(walk), FAULT_SECONDS, detail=lambda: firing(walk))


@pytest.fixture
def receiver(walk: UserSession) -> Iterator[Receiver]:
    server = Receiver(local_address(str(urlsplit(walk.shell["AWS_ENDPOINT_URL"]).hostname)))
    yield server
    server.close()


@pytest.mark.nightly
def test_alerts_of_the_platform_arrive_at_a_receiver(
    walk: UserSession, file_as_before: None, receiver: Receiver
) -> None:
    defaults = {"enabled": "true", "privateReceivers[0]": f"{receiver.address}/32"}
    for name, value in defaults.items():
        walk.pulumi("config", "set", "--path", f"opstrace:tenantDefaults.alertmanager.{name}", value)
    walk.pulumi("up", "--yes", "--skip-preview")
    hook = {"name": "pager", "webhook_configs": [{"url": receiver.url}]}
    routes = {"route": {"receiver": "pager", "group_wait": "1s"}, "receivers": [hook]}
    config = json.dumps({"alertmanager_config": json.dumps(routes)})
    arguments = ("-X", "POST", "-H", "Content-Type: application/yaml", "--data-binary", config)
    alerts = url("cortex", "system", "/api/v1/alerts")
    eventually(lambda: walk.curl(alerts, *arguments, token=walk.token("system"))[0] == 201)
    eventually(lambda: "Watchdog" in receiver.alerts(), FAULT_SECONDS)
