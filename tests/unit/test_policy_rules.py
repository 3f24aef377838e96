"""How network policies become rules of the embedded cloud's node."""

from typing import Any

import pytest

from localcloud.node.policy_rules import ruleset, selects

PODS = [("a-tenant", "10.0.0.1", {"app": "cortex"}), ("a-tenant", "10.0.0.2", {"app": "alertmanager"})]
PODS += [("gateway", "10.0.0.3", {}), ("b-tenant", "10.0.0.4", {"app": "cortex"})]
NAMESPACES = [
    {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}}
    for name in ("a-tenant", "b-tenant", "gateway")
]
HTTP = {"name": "http", "containerPort": 8080}
POD_CIDR = "10.0.0.0/24"
ADDRESSES = "{ 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 }"
FORWARD = [
    "type filter hook forward priority filter; policy accept;",
    "meta nfproto ipv6 drop",
    "ct state established,related accept",
    f"ip saddr {POD_CIDR} ip saddr != {ADDRESSES} drop",
    f"ip daddr {POD_CIDR} ip daddr != {ADDRESSES} drop",
]


def pod(namespace: str, address: str, labels: dict[str, str], **status: str) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "labels": labels},
        "spec": {"containers": [{"ports": [HTTP]}]},
        "status": {"podIP": address, "phase": "Running"} | status,
    }


def policy(namespace: str = "a-tenant", **spec: Any) -> dict[str, Any]:
    """Return a policy as the API server has it: it fills in which directions are meant."""
    types = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return {"metadata": {"namespace": namespace, "name": "p"}, "spec": {"podSelector": {}, "policyTypes": types} | spec}


def chains(*policies: dict[str, Any], pods: list[dict[str, Any]] | None = None) -> dict[str, list[str]]:
    """Return the lines of each chain by its name."""
    text = ruleset(NAMESPACES, [pod(*entry) for entry in PODS] if pods is None else pods, policies, POD_CIDR)
    found = {}
    for part in text.split("  chain ")[1:]:
        name, _, lines = part.partition(" {\n")
        found[name] = [line.strip() for line in lines.split("\n  }\n")[0].splitlines() if line.strip()]
    return found


def let_in(given: dict[str, Any]) -> list[str]:
    """Return what the first pod is reached by, but for itself."""
    first, *lines = chains(given)["ingress-10.0.0.1"]
    assert first == "ip saddr 10.0.0.1 return"
    return lines


def test_without_a_policy_everything_passes() -> None:
    assert chains() == {"forward": FORWARD}


def test_a_pod_that_is_not_known_yet_is_shut() -> None:
    assert chains(pods=[])["forward"][-2:] == [f"ip saddr {POD_CIDR} drop", f"ip daddr {POD_CIDR} drop"]


def test_a_selected_pod_is_reached_by_those_that_the_policy_names() -> None:
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}
    own = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["alertmanager"]}]}}
    found = chains(policy(policyTypes=["Ingress"], ingress=[{"from": [gateway, own]}]))
    reached = ["ip saddr { 10.0.0.3 } return", "ip saddr { 10.0.0.1 } return", "drop"]
    assert found == {
        "ingress-10.0.0.1": ["ip saddr 10.0.0.1 return", *reached],
        "ingress-10.0.0.2": ["ip saddr 10.0.0.2 return", *reached],
        "forward": [
            *FORWARD,
            "ip daddr vmap { 10.0.0.1 : jump ingress-10.0.0.1, 10.0.0.2 : jump ingress-10.0.0.2 }",
        ],
    }


def test_what_a_selected_pod_reaches() -> None:
    selector = {"matchLabels": {"app": "alertmanager"}}
    dns = {"ports": [{"protocol": "UDP", "port": 53}, {"port": 53}, {"port": 8000, "endPort": 8010}, {}]}
    public = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "172.16.0.0/12"]}}]}
    found = chains(policy(podSelector=selector, policyTypes=["Egress"], egress=[dns, public]))
    assert found["egress-10.0.0.2"] == [
        "ip daddr 10.0.0.2 return",
        "udp dport 53 return",
        "tcp dport 53 return",
        "tcp dport 8000-8010 return",
        "meta l4proto tcp return",
        "ip daddr 0.0.0.0/0 ip daddr != 10.0.0.0/8 ip daddr != 172.16.0.0/12 return",
        "drop",
    ]
    assert [*found] == ["egress-10.0.0.2", "forward"]


def test_a_policy_without_rules_shuts_and_one_with_an_empty_rule_opens() -> None:
    assert let_in(policy(policyTypes=["Ingress", "Egress"])) == ["drop"]
    assert let_in(policy(ingress=[{}])) == ["return", "drop"]


def test_a_peer_that_is_nobody_lets_nobody_pass() -> None:
    nobody = {"podSelector": {"matchLabels": {"app": "none"}}}
    assert let_in(policy(ingress=[{"from": [nobody]}])) == ["drop"]


def test_a_range_of_ipv6_lets_nobody_pass_for_no_pod_has_such_an_address() -> None:
    blocks = [{"ipBlock": {"cidr": "::/0"}}, {"ipBlock": {"cidr": "192.0.2.0/24"}}]
    assert let_in(policy(ingress=[{"from": blocks}])) == ["ip saddr 192.0.2.0/24 return", "drop"]


def test_a_port_s_name_is_that_of_the_pod_that_is_reached() -> None:
    assert let_in(policy(ingress=[{"ports": [{"port": "http"}]}])) == ["tcp dport 8080 return", "drop"]
    assert let_in(policy(ingress=[{"ports": [{"port": "http", "protocol": "UDP"}, {"port": "other"}]}])) == ["drop"]
    assert chains(policy(egress=[{"ports": [{"port": "http"}]}]))["egress-10.0.0.1"][1:] == ["drop"]


def test_pods_that_are_over_and_those_of_the_node_s_own_address_are_no_pods() -> None:
    over = pod("a-tenant", "10.0.0.1", {}, phase="Succeeded")
    hosted = pod("a-tenant", "10.0.0.2", {})
    hosted["spec"]["hostNetwork"] = True
    assert [*chains(policy(), pods=[over, hosted])] == ["forward"]


@pytest.mark.parametrize(
    ("operator", "values", "found"),
    [
        ("In", ["x"], [True, False, False]),
        ("NotIn", ["x"], [False, True, True]),
        ("Exists", [], [True, True, False]),
        ("DoesNotExist", [], [False, False, True]),
    ],
)
def test_selectors(operator: str, values: list[str], found: list[bool]) -> None:
    selector = {"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}
    assert [selects(selector, labels) for labels in ({"a": "x"}, {"a": "y"}, {})] == found
