"""Alerts of a tenant, by the commands of docs/alerts.md: real Cortex finds them, a real Alertmanager sends them."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from components.gateway_config import HEALTH_PORT
from components.names import ALERTMANAGER, GATEWAY_NAMESPACE, PORTS
from localcloud.borrowed import local_address
from tests.e2e.packets import PodNetwork
from tests.e2e.walk import INSTANCE, Walk, assert_forbidden, commands, url
from tests.receiver import Receiver
from tests.waiting import eventually

TENANT = "default"
FIRES_SECONDS = 300  # the ruler looks for changed rules once a minute
PAGES = url("cortex", TENANT, "/alertmanager/")


@pytest.fixture
def receiver(walk: Walk) -> Iterator[Receiver]:
    """A receiver of alerts that the cluster's pods can reach: at this machine's address in the cluster's network."""
    made = Receiver(local_address(str(urlsplit(walk.shell["AWS_ENDPOINT_URL"]).hostname)))
    yield made
    made.close()


def test_the_commands_of_the_page_on_alerts_do_what_it_says(
    walk: Walk, file_as_before: None, receiver: Receiver
) -> None:
    status, body = walk.curl(PAGES, token=walk.token(TENANT))
    assert (status, body) == (404, "this tenant has no Alertmanager")

    given = f"export RECEIVER={receiver.url} ADDRESS={receiver.address}\n"
    _, said = walk.follow([given, *commands("alerts.md")], walk.folder / f"tenant-api-token-{TENANT}")
    assert receiver.url in said
    assert "alertmanager" in json.loads(walk.opstrace("tenants", "show", "local", INSTANCE, TENANT, "--json").stdout)
    eventually(lambda: receiver.alerts() == {"Always"}, FIRES_SECONDS)
    assert receiver.seen[0]["externalURL"] == PAGES.rstrip("/")

    assert walk.curl(PAGES)[0] == 401
    status, page = walk.curl(PAGES, "-u", f"anybody:{walk.token(TENANT)}")
    assert status == 200 and "<title>Alertmanager</title>" in page
    assert walk.curl(url("cortex", "system", "/alertmanager/"), token=walk.token("system"))[0] == 404
    _its_role_opens_its_own_objects_alone(walk)
    _its_pod_reaches_no_other(walk, receiver)

    rules = url("cortex", TENANT, "/api/v1/rules/team-a")
    assert walk.curl(rules, "-X", "DELETE", token=walk.token(TENANT))[0] == 202


def _its_pod_reaches_no_other(walk: Walk, receiver: Receiver) -> None:
    """The firewall of its program, at which `oauth2` does not look, is not all that there is."""
    namespace = f"{TENANT}-tenant"
    alertmanager = PodNetwork.of(walk, namespace, ALERTMANAGER)
    assert alertmanager.reaches(urlsplit(receiver.url).netloc)
    own, others = (PodNetwork.of(walk, name, "cortex") for name in (namespace, "system-tenant"))
    gateway = PodNetwork.of(walk, GATEWAY_NAMESPACE, "gateway")
    port = PORTS["cortex"]
    closed = [(own, port), (others, port), (gateway, HEALTH_PORT)]
    assert [pod for pod, its_port in closed if alertmanager.reaches(f"{pod.address}:{its_port}")] == []
    assert own.reaches(f"{alertmanager.address}:{port}")  # what fires has to get there


def _its_role_opens_its_own_objects_alone(walk: Walk) -> None:
    s3 = walk.s3_of(TENANT, f"opsalerts-{INSTANCE}-{TENANT}", "alertmanager")
    buckets = walk.buckets(TENANT)
    config = next(name for name in buckets if "-config-" in name)
    own = f"alerts/{TENANT}"
    with walk.policies_enforced():
        content = s3.get_object(Bucket=config, Key=own)["Body"].read()
        s3.put_object(Bucket=config, Key=own, Body=content)
        s3.list_objects_v2(Bucket=config)
        for bucket in buckets:
            for call in (
                lambda bucket=bucket: s3.put_object(Bucket=bucket, Key="rules/probe", Body=b"x"),
                lambda bucket=bucket: s3.put_object(Bucket=bucket, Key="alerts/other", Body=b"x"),
                lambda bucket=bucket: s3.get_object(Bucket=bucket, Key=f"rules/{TENANT}"),
            ):
                assert_forbidden(call)
