"""What the gateway lets through of a tenant, through the load balancer and by `pulumi up`."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ruamel.yaml import YAML

from components.names import GATEWAY_NAMESPACE
from tests.e2e.walk import GATEWAY_MARKS, LABELS, STACK_FILE, Walk, url
from tests.waiting import eventually


def applied(walk: Walk, **api: Any) -> None:
    """Give the instance these settings of its data API."""
    yaml = YAML()
    content = yaml.load(STACK_FILE.read_text())
    content["config"]["opstrace:dataApi"] |= api
    with STACK_FILE.open("w") as file:
        yaml.dump(content, file)
    walk.pulumi("up", "--yes", "--skip-preview")


def answers(walk: Walk, times: int) -> list[int]:
    """Return the statuses of so many answers, asked for four at a time."""
    asked, token = url("cortex", "default", LABELS), walk.token("default")
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: walk.curl(asked, token=token)[0], range(times)))


def address(walk: Walk) -> str:
    """Return the address from which the load balancer says that the last refused request came, '' before it is logged."""
    return next((str(line["client"]) for line in reversed(walk.requests_logged()) if line["status"] == 403), "")


def test_addresses_and_rates_of_a_tenant_change_while_the_gateway_runs(walk: Walk, file_as_before: None) -> None:
    def pods() -> str:
        return walk.kubectl("-n", GATEWAY_NAMESPACE, "get", "pods", "-l", GATEWAY_MARKS, "-o", "name")

    before = pods()
    applied(walk, tenants={"default": {"allowedCidrs": ["203.0.113.0/24"]}})
    eventually(lambda: answers(walk, 8) == [403] * 8)
    system = walk.curl(url("cortex", "system", LABELS), token=walk.token("system"))
    assert system[0] == 200
    eventually(lambda: address(walk) != "")

    applied(walk, tenants={"default": {"allowedCidrs": [f"{address(walk)}/32"]}}, rates={"requestsPerSecond": 2})
    eventually(lambda: answers(walk, 1) == [200])
    eventually(lambda: 429 in answers(walk, 20))
    assert pods() == before

    applied(walk, allowedCidrs=["203.0.113.0/24"])  # who reaches the load balancer at all
    eventually(lambda: answers(walk, 1) == [0])
