"""The gateway's own metrics in the system tenant, by the command of docs/reference/metrics.md."""

import json
from urllib.parse import urlencode

from components.core.names import GATEWAY_NAMESPACE
from components.gateway.gateway import REPLICAS
from components.gateway.metrics.own import FLUSH_SECONDS
from tests.support.polling import eventually
from tests.support.user_session import GATEWAY_MARKS, LABELS, UserSession, commands, url

NAME = "envoy_http_downstream_rq_xx_total"


def pods(walk: UserSession) -> set[str]:
    output = walk.kubectl("-n", GATEWAY_NAMESPACE, "get", "pods", "-l", GATEWAY_MARKS, "-o", "name")
    return {name.removeprefix("pod/") for name in output.split()}


def counted(walk: UserSession) -> set[str]:
    """Return the gateway's pods whose metrics show answers with status 200."""
    query = f'{NAME}{{job="gateway",envoy_http_conn_manager_prefix="gateway",envoy_response_code_class="2"}} > 0'
    address = f"{url('cortex', 'system', '/api/v1/query')}?{urlencode({'query': query})}"
    status, body = walk.curl(address, token=walk.token("system"))
    return {entry["metric"]["instance"] for entry in json.loads(body)["data"]["result"]} if status == 200 else set()


def test_each_pod_of_the_gateway_has_its_metrics_in_the_system_tenant(walk: UserSession) -> None:
    assert len(pods(walk)) == REPLICAS
    for _ in range(20):  # so that each pod answers some
        assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200
    eventually(lambda: counted(walk) >= pods(walk), 8 * FLUSH_SECONDS)
    page = [block for block in commands("reference/metrics.md") if "label/__name__" in block]
    _, output = walk.follow(page, walk.folder / "tenant-api-token-system")
    assert NAME in json.loads(output)["data"]
