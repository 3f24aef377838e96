"""Network policies as rules of the embedded cloud's node."""

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
    """Return a policy in the API server's form, which has the directions filled in."""
    types = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return {"metadata": {"namespace": namespace, "name": "p"}, "spec": {"podSelector": {}, "policyTypes": types} | spec}


def chains(*policies: dict[str, Any], pods: list[dict[str, Any]] | None = None) -> dict[str, list[str]]:
    """Return the lines of each chain by its name."""
    text = ruleset(NAMESPACES, [pod(*entry) for entry in PODS] if pods is None else pods, policies, POD_CIDR)
    by_name = {}
    for part in text.split("  chain ")[1:]:
        name, _, lines = part.partition(" {\n")
        by_name[name] = [line.strip() for line in lines.split("\n  }\n")[0].splitlines() if line.strip()]
    return by_name


def ingress_rules(of: dict[str, Any]) -> list[str]:
    """Return the rules for traffic to the first pod, without the rule for traffic from itself."""
    first, *lines = chains(of)["ingress-10.0.0.1"]
    assert first == "ip saddr 10.0.0.1 return"
    return lines


def test_without_a_policy_all_traffic_is_accepted() -> None:
    assert chains() == {"forward": FORWARD}


def test_traffic_of_a_pod_that_is_not_known_yet_is_dropped() -> None:
    assert chains(pods=[])["forward"][-2:] == [f"ip saddr {POD_CIDR} drop", f"ip daddr {POD_CIDR} drop"]


def test_a_selected_pod_accepts_the_peers_of_the_policy() -> None:
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway"}}}
    own = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["alertmanager"]}]}}
    rules = chains(policy(policyTypes=["Ingress"], ingress=[{"from": [gateway, own]}]))
    reached = ["ip saddr { 10.0.0.3 } return", "ip saddr { 10.0.0.1 } return", "drop"]
    assert rules == {
        "ingress-10.0.0.1": ["ip saddr 10.0.0.1 return", *reached],
        "ingress-10.0.0.2": ["ip saddr 10.0.0.2 return", *reached],
        "forward": [
            *FORWARD,
            "ip daddr vmap { 10.0.0.1 : jump ingress-10.0.0.1, 10.0.0.2 : jump ingress-10.0.0.2 }",
        ],
    }


def test_a_selected_pod_reaches_the_ports_and_ranges_of_the_policy() -> None:
    selector = {"matchLabels": {"app": "alertmanager"}}
    dns = {"ports": [{"protocol": "UDP", "port": 53}, {"port": 53}, {"port": 8000, "endPort": 8010}, {}]}
    public = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "172.16.0.0/12"]}}]}
    rules = chains(policy(podSelector=selector, policyTypes=["Egress"], egress=[dns, public]))
    assert rules["egress-10.0.0.2"] == [
        "ip daddr 10.0.0.2 return",
        "udp dport 53 return",
        "tcp dport 53 return",
        "tcp dport 8000-8010 return",
        "meta l4proto tcp return",
        "ip daddr 0.0.0.0/0 ip daddr != 10.0.0.0/8 ip daddr != 172.16.0.0/12 return",
        "drop",
    ]
    assert [*rules] == ["egress-10.0.0.2", "forward"]


def test_a_policy_without_rules_accepts_nothing_and_one_with_an_empty_rule_everything() -> None:
    assert ingress_rules(policy(policyTypes=["Ingress", "Egress"])) == ["drop"]
    assert ingress_rules(policy(ingress=[{}])) == ["return", "drop"]


def test_a_peer_that_selects_no_pod_accepts_nothing() -> None:
    nobody = {"podSelector": {"matchLabels": {"app": "none"}}}
    assert ingress_rules(policy(ingress=[{"from": [nobody]}])) == ["drop"]


def test_a_range_of_ipv6_accepts_nothing() -> None:
    blocks = [{"ipBlock": {"cidr": "::/0"}}, {"ipBlock": {"cidr": "192.0.2.0/24"}}]
    assert ingress_rules(policy(ingress=[{"from": blocks}])) == ["ip saddr 192.0.2.0/24 return", "drop"]


def test_a_port_s_name_is_looked_up_at_the_destination() -> None:
    assert ingress_rules(policy(ingress=[{"ports": [{"port": "http"}]}])) == ["tcp dport 8080 return", "drop"]
    assert ingress_rules(policy(ingress=[{"ports": [{"port": "http", "protocol": "UDP"}, {"port": "other"}]}])) == [
        "drop"
    ]
    assert chains(policy(egress=[{"ports": [{"port": "http"}]}]))["egress-10.0.0.1"][1:] == ["drop"]


def test_pods_that_have_ended_or_have_the_node_s_address_are_ignored() -> None:
    over = pod("a-tenant", "10.0.0.1", {}, phase="Succeeded")
    hosted = pod("a-tenant", "10.0.0.2", {})
    hosted["spec"]["hostNetwork"] = True
    assert [*chains(policy(), pods=[over, hosted])] == ["forward"]


@pytest.mark.parametrize(
    ("operator", "values", "selected"),
    [
        ("In", ["x"], [True, False, False]),
        ("NotIn", ["x"], [False, True, True]),
        ("Exists", [], [True, True, False]),
        ("DoesNotExist", [], [False, False, True]),
    ],
)
def test_selectors(operator: str, values: list[str], selected: list[bool]) -> None:
    selector = {"matchExpressions": [{"key": "a", "operator": operator, "values": values}]}
    assert [selects(selector, labels) for labels in ({"a": "x"}, {"a": "y"}, {})] == selected
