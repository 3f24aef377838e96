"""Alerts of a tenant, by the commands of docs/how-to/alerts.md: real Cortex and Loki evaluate, a real Alertmanager notifies."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from components.core.names import ALERTMANAGER, GATEWAY_NAMESPACE, PORTS
from components.gateway.settings import HEALTH_PORT
from localcloud.user_cluster import local_address
from tests.support.packets import PodNetwork
from tests.support.polling import eventually
from tests.support.receiver import Receiver
from tests.support.user_session import INSTANCE, UserSession, assert_forbidden, commands, url

TENANT = "default"
FIRES_SECONDS = 180  # rulers and the Alertmanager look for changes every 15 s
PAGES = url("cortex", TENANT, "/alertmanager/")


@pytest.fixture
def receiver(walk: UserSession) -> Iterator[Receiver]:
    """A receiver of alerts at this machine's address in the cluster's network, which pods can reach."""
    server = Receiver(local_address(str(urlsplit(walk.shell["AWS_ENDPOINT_URL"]).hostname)))
    yield server
    server.close()


def test_the_commands_of_the_page_on_alerts_do_what_it_says(
    walk: UserSession, file_as_before: None, receiver: Receiver
) -> None:
    status, body = walk.curl(PAGES, token=walk.token(TENANT))
    assert (status, body) == (404, "this tenant has no Alertmanager")

    variables = f"export RECEIVER={receiver.url} ADDRESS={receiver.address}\n"
    _, output = walk.follow([variables, *commands("how-to/alerts.md")], walk.folder / f"tenant-api-token-{TENANT}")
    assert receiver.url in output
    assert "alertmanager" in json.loads(walk.opstrace("tenants", "show", "local", INSTANCE, TENANT, "--json").stdout)
    eventually(lambda: receiver.alerts() == {"Always", "LogsAlways"}, FIRES_SECONDS)
    assert receiver.notifications[0]["externalURL"] == PAGES.rstrip("/")

    assert walk.curl(PAGES)[0] == 401
    status, page = walk.curl(PAGES, "-u", f"anybody:{walk.token(TENANT)}")
    assert status == 200 and "<title>Alertmanager</title>" in page
    assert walk.curl(url("cortex", "system", "/alertmanager/"), token=walk.token("system"))[0] == 404
    _assert_its_role_opens_its_own_objects_alone(walk)
    _assert_its_pod_reaches_no_other(walk, receiver)

    for rules in (url("cortex", TENANT, "/api/v1/rules/team-a"), url("loki", TENANT, "/loki/api/v1/rules/team-a")):
        assert walk.curl(rules, "-X", "DELETE", token=walk.token(TENANT))[0] == 202


def _assert_its_pod_reaches_no_other(walk: UserSession, receiver: Receiver) -> None:
    """Fail if network policies let Alertmanager reach other pods: Cortex's firewall ignores `oauth2` URLs."""
    namespace = f"{TENANT}-tenant"
    alertmanager = PodNetwork.of(walk, namespace, ALERTMANAGER)
    assert alertmanager.reaches(urlsplit(receiver.url).netloc)
    own, others = (PodNetwork.of(walk, name, "cortex") for name in (namespace, "system-tenant"))
    loki = PodNetwork.of(walk, namespace, "loki")
    gateway = PodNetwork.of(walk, GATEWAY_NAMESPACE, "gateway")
    port = PORTS["cortex"]
    closed = [(own, port), (loki, PORTS["loki"]), (others, port), (gateway, HEALTH_PORT)]
    assert [pod for pod, its_port in closed if alertmanager.reaches(f"{pod.address}:{its_port}")] == []
    for ruler in (own, loki):
        assert ruler.reaches(f"{alertmanager.address}:{port}")


def _assert_its_role_opens_its_own_objects_alone(walk: UserSession) -> None:
    s3 = walk.s3_of(TENANT, f"opsalerts-{INSTANCE}-{TENANT}", "alertmanager")
    buckets = walk.buckets(TENANT)
    config = next(name for name in buckets if "-config-" in name)
    own = f"alerts/{TENANT}"
    content = s3.get_object(Bucket=config, Key=own)["Body"].read()
    s3.put_object(Bucket=config, Key=own, Body=content)
    s3.list_objects_v2(Bucket=config)
    for bucket in buckets:
        for call in (
            lambda bucket=bucket: s3.put_object(Bucket=bucket, Key="rules/probe", Body=b"x"),
            lambda bucket=bucket: s3.put_object(Bucket=bucket, Key="alerts/other", Body=b"x"),
            lambda bucket=bucket: s3.get_object(Bucket=bucket, Key=f"rules/{TENANT}"),
            lambda bucket=bucket: s3.copy_object(
                Bucket=config, Key=own, CopySource={"Bucket": bucket, "Key": f"rules/{TENANT}"}
            ),
        ):
            assert_forbidden(call)
    for forbidden in (
        s3.list_buckets,
        lambda: walk.stranger("s3").get_object(Bucket=config, Key=own),
        lambda: walk.unsigned("s3").get_object(Bucket=config, Key=own),
        lambda: walk.unsigned("s3").list_buckets(),
    ):
        assert_forbidden(forbidden)
