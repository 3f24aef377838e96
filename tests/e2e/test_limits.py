"""Limits of a tenant at the gateway, through the load balancer and changed by `pulumi up`."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ruamel.yaml import YAML

from components.core.names import GATEWAY_NAMESPACE
from tests.support.polling import eventually
from tests.support.user_session import GATEWAY_MARKS, LABELS, UserSession, url


def applied(walk: UserSession, **api: Any) -> None:
    """Apply these settings of the data API."""
    yaml = YAML()
    content = yaml.load(walk.stack_path.read_text())
    content["config"]["opstrace:dataApi"] |= api
    with walk.stack_path.open("w") as file:
        yaml.dump(content, file)
    walk.pulumi("up", "--yes", "--skip-preview")


def answers(walk: UserSession, times: int) -> list[int]:
    """Return the statuses of this number of requests, four at a time."""
    address, token = url("cortex", "default", LABELS), walk.token("default")
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: walk.curl(address, token=token)[0], range(times)))


def address(walk: UserSession) -> str:
    """Return the client address in the log of the last refused request, '' before it is logged."""
    return next((str(line["client"]) for line in reversed(walk.requests_logged()) if line["status"] == 403), "")


def test_addresses_and_rates_of_a_tenant_change_while_the_gateway_runs(walk: UserSession, file_as_before: None) -> None:
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

    applied(walk, allowedCidrs=["203.0.113.0/24"])  # of the load balancer's security group
    eventually(lambda: answers(walk, 1) == [0])
