"""The gateway's own metrics, in the system tenant; by the command of docs/operations.md."""

import json
from urllib.parse import urlencode

from components.gateway import REPLICAS
from components.gateway_metrics import FLUSH_SECONDS
from components.names import GATEWAY_NAMESPACE
from tests.e2e.walk import GATEWAY_MARKS, LABELS, Walk, commands, url
from tests.waiting import eventually

NAME = "envoy_http_downstream_rq_xx_total"


def pods(walk: Walk) -> set[str]:
    found = walk.kubectl("-n", GATEWAY_NAMESPACE, "get", "pods", "-l", GATEWAY_MARKS, "-o", "name")
    return {name.removeprefix("pod/") for name in found.split()}


def counted(walk: Walk) -> set[str]:
    """Return the pods of which it is known that they have answered well."""
    query = f'{NAME}{{job="gateway",envoy_http_conn_manager_prefix="gateway",envoy_response_code_class="2"}} > 0'
    asked = f"{url('cortex', 'system', '/api/v1/query')}?{urlencode({'query': query})}"
    status, body = walk.curl(asked, token=walk.token("system"))
    return {entry["metric"]["instance"] for entry in json.loads(body)["data"]["result"]} if status == 200 else set()


def test_each_pod_of_the_gateway_has_its_metrics_in_the_system_tenant(walk: Walk) -> None:
    assert len(pods(walk)) == REPLICAS
    for _ in range(20):  # each of them has something to tell
        assert walk.curl(url("cortex", "default", LABELS), token=walk.token("default"))[0] == 200
    eventually(lambda: counted(walk) >= pods(walk), 8 * FLUSH_SECONDS)
    page = [block for block in commands("operations.md") if "label/__name__" in block]
    _, said = walk.follow(page, walk.folder / "tenant-api-token-system")
    assert NAME in json.loads(said)["data"]
