"""What the network policies open and close: for every pod, and for one that carries none of our labels."""

import ipaddress
import json
from typing import Any

import pulumi
import pytest

from components.config.load import from_engine, from_settings
from components.core.errors import ConfigError
from components.core.resource_names import NETWORK_POLICY_TYPE, WORKLOAD_PREFIX
from components.gateway.settings import LISTEN_PORT, METRICS_PORT
from components.instance.providers import providers
from localcloud.node.policy_rules import selects
from tests.support.factories import CLUSTER, settings
from tests.support.pulumi_mocks import declared, record

METADATA, POD_IDENTITY = "169.254.169.254", "169.254.170.23"
ON_AWS = {name: value for name, value in CLUSTER.items() if name != "enforcesNetworkPolicies"}
STAND_IN = {"iam": "http://192.0.2.1:5000", "sts": "http://192.0.2.1:5000"}
VPC_ENDPOINTS = {
    "iam": "https://iam.amazonaws.com",
    "sts": "https://vpce-0a.sts.us-west-2.vpce.amazonaws.com",
    "s3": "https://192.0.2.2",
}
Workload = tuple[str, dict[str, str]]


@pytest.fixture(scope="module")
def recorded() -> list[pulumi.runtime.MockResourceArgs]:
    return declared(settings(tenants=[{"name": "default", "alertmanager": {"enabled": True}, "size": "large"}]))


def policies(recorded: list[pulumi.runtime.MockResourceArgs], workload: Workload, direction: str) -> list[Any]:
    """Return the policies of a direction that select the pods of a workload."""
    namespace, labels = workload
    found = [entry.inputs for entry in recorded if entry.typ == NETWORK_POLICY_TYPE]
    return [
        policy["spec"]
        for policy in found
        if policy["metadata"]["namespace"] == namespace
        and direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], labels)
    ]


def workloads(recorded: list[pulumi.runtime.MockResourceArgs]) -> list[Workload]:
    found = [entry.inputs for entry in recorded if entry.typ.startswith(WORKLOAD_PREFIX)]
    return [(each["metadata"]["namespace"], each["spec"]["template"]["metadata"]["labels"]) for each in found]


def reaches(policy: dict[str, Any], address: str, port: int) -> bool:
    """Tell whether an egress policy opens a TCP port of an address."""

    def is_open(rule: dict[str, Any]) -> bool:
        if "ports" in rule and not any(entry["port"] == port for entry in rule["ports"]):
            return False
        blocks = [peer["ipBlock"] for peer in rule.get("to", [])]
        return not blocks or any(
            within(address, [block["cidr"]]) and not within(address, block.get("except", [])) for block in blocks
        )

    return any(is_open(rule) for rule in policy["egress"])


def within(address: str, ranges: list[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(text) for text in ranges)


def test_no_pod_reaches_the_credentials_of_its_node(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    pods = workloads(recorded)
    assert len(pods) == 8  # the gateway, two back ends of two tenants, an Alertmanager, two collectors
    for pod in pods:
        egress = policies(recorded, pod, "Egress")
        assert egress and not any(reaches(policy, METADATA, 80) for policy in egress), pod


def test_pods_reach_aws_each_other_and_pod_identity(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    pods = [pod for pod in workloads(recorded) if pod[1]["app.kubernetes.io/name"] != "alertmanager"]
    assert len(pods) == 7
    for address in ("52.218.0.1", "10.0.0.1", "169.254.20.10", POD_IDENTITY):
        for pod in pods:
            assert any(reaches(policy, address, 443) for policy in policies(recorded, pod, "Egress"))


def test_a_policy_has_no_ipv6_range_with_an_exception(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    """The VPC CNI keeps the exceptions of a range that it skips, and cuts their addresses to IPv4."""
    rules = [
        rule
        for entry in recorded
        if entry.typ == NETWORK_POLICY_TYPE
        for rule in entry.inputs["spec"].get("egress", [])
    ]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule.get("to", [])]
    assert blocks and not any(":" in part for block in blocks for part in (block["cidr"], *block.get("except", [])))


def test_every_pod_of_a_tenant_admits_the_gateway_and_pods_but_the_alertmanager(
    recorded: list[pulumi.runtime.MockResourceArgs],
) -> None:
    tenants = [pod for pod in workloads(recorded) if pod[0].endswith("-tenant")]
    assert len(tenants) == 5
    for pod in (*tenants, ("default-tenant", {"app": "unknown"})):
        (policy,) = policies(recorded, pod, "Ingress")
        (gateway, own), *others = (rule["from"] for rule in policy["ingress"])
        is_collected = pod[0] == "system-tenant" and pod[1]["app.kubernetes.io/name"] != "alertmanager"
        assert len(others) == is_collected
        assert gateway["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "opstrace"}
        assert not selects(own["podSelector"], {"app.kubernetes.io/name": "alertmanager"})
        assert selects(own["podSelector"], {"app.kubernetes.io/name": "cortex"})


@pytest.mark.parametrize(
    ("collectors", "rules"), [({}, 1), ({"logs": False}, 1), ({"logs": False, "metrics": False}, 0)]
)
def test_the_system_tenant_admits_the_collectors_to_its_apis_while_there_are_any(
    collectors: dict[str, bool], rules: int
) -> None:
    resources = declared(settings(collectors=collectors))
    (policy,) = policies(resources, ("system-tenant", {"app.kubernetes.io/name": "loki"}), "Ingress")
    _, *opened = policy["ingress"]
    expected = {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "opstrace-collectors"}}}],
        "ports": [{"protocol": "TCP", "port": 9009}, {"protocol": "TCP", "port": 3100}],
    }
    assert opened == [expected] * rules


@pytest.mark.parametrize(("collectors", "rules"), [({}, 1), ({"metrics": False}, 0)])
def test_the_gateway_admits_everybody_to_one_port_and_the_collectors_of_metrics_to_another(
    collectors: dict[str, bool], rules: int
) -> None:
    resources = declared(settings(collectors=collectors))
    labels = {"app.kubernetes.io/name": "gateway", "app.kubernetes.io/instance": "showdown"}
    (policy,) = policies(resources, ("opstrace", labels), "Ingress")
    clients, *opened = policy["ingress"]
    assert clients == {"ports": [{"protocol": "TCP", "port": LISTEN_PORT}]}
    expected = {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "opstrace-collectors"}}}],
        "ports": [{"protocol": "TCP", "port": METRICS_PORT}],
    }
    assert opened == [expected] * rules
    assert sum("backend-metrics-service" in entry.name for entry in resources) == rules


def test_nobody_reaches_the_collectors(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    (policy,) = policies(recorded, ("opstrace-collectors", {"app": "unknown"}), "Ingress")
    assert "ingress" not in policy


@pytest.mark.parametrize(
    "endpoints",
    [{}, VPC_ENDPOINTS, {"s3": "https://192.0.2.2"}, {"sts": STAND_IN["sts"]}],
    ids=["none", "endpoints of a VPC", "a store of its own", "half a stand-in"],
)
def test_on_aws_an_update_needs_a_stack_file_that_says_whether_policies_are_enforced(endpoints: dict[str, str]) -> None:
    stack = settings(
        cluster=ON_AWS,
        aws={"region": "us-west-2", "endpoints": endpoints},
        tenants=[{"name": "default", "alertmanager": {"enabled": True}}],
    )
    texts = {f"opstrace:{name}": part if isinstance(part, str) else json.dumps(part) for name, part in stack.items()}
    with pytest.raises(ConfigError) as caught:
        from_engine(texts, "showdown")
    count, *problems = str(caught.value).splitlines()
    assert count.startswith("1 problem")
    assert "opstrace:cluster.enforcesNetworkPolicies: is required on AWS, but not set" in problems[0]
    assert "any pod of the cluster can read and write the data of every tenant" in problems[0]
    assert "enableNetworkPolicy" in problems[0] and "set it to false to accept that" in problems[0]


@pytest.mark.parametrize("enforced", [True, False])
def test_both_answers_are_taken(enforced: bool) -> None:
    config = from_settings(settings(cluster=CLUSTER | {"enforcesNetworkPolicies": enforced}), "showdown")
    assert config.cluster.enforces_network_policies is enforced


def test_a_cluster_beside_the_embedded_aws_need_not_say_it() -> None:
    aws = {"region": "us-west-2", "endpoints": STAND_IN}
    assert from_settings(settings(cluster=ON_AWS, aws=aws), "showdown").cluster.enforces_network_policies is None


@pytest.mark.parametrize(("enforced", "warnings"), [(True, 0), (False, 1)])
def test_each_preview_says_what_it_means_that_policies_are_not_enforced(
    enforced: bool, warnings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", warned.append)
    config = from_settings(settings(cluster=CLUSTER | {"enforcesNetworkPolicies": enforced}), "showdown")

    def declare() -> pulumi.Output[Any]:
        return pulumi.Output.all(*(provider.id for provider in providers(config.aws, config.cluster)))

    record(declare)
    assert len(warned) == warnings
    assert all("any pod of the cluster can read and write the data of every tenant" in text for text in warned)
