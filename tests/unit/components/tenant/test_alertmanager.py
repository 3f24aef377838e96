"""A tenant's Alertmanager: its network policy, its role and its limits."""

import ipaddress
import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.load import from_settings
from components.core.errors import ConfigError
from components.core.tags import NAME_LABEL
from components.shared.pods import Aws
from components.tenant.back_ends.alertmanager import PRIVATE, blocked_ranges, egress
from components.tenant.back_ends.cortex import PARTS
from tests.support.factories import CLUSTER, settings
from tests.support.pulumi_mocks import declared

addresses = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
ranges = st.tuples(addresses, st.integers(0, 32)).map(lambda pair: str(ipaddress.IPv4Network(pair, strict=False)))


def within(address: ipaddress.IPv4Address, networks: Sequence[str]) -> bool:
    return any(address in ipaddress.IPv4Network(text) for text in networks)


@given(addresses, st.lists(ranges, max_size=4))
def test_what_is_private_and_not_allowed_is_blocked_and_nothing_else(
    address: ipaddress.IPv4Address, allowed: list[str]
) -> None:
    assert within(address, blocked_ranges(allowed)) == (within(address, PRIVATE) and not within(address, allowed))


@given(addresses)
def test_every_address_that_is_not_public_is_private(address: ipaddress.IPv4Address) -> None:
    assert within(address, PRIVATE) or address.is_global


def test_it_reaches_aws_where_that_has_a_private_address() -> None:
    aws = Aws(
        region="us-west-2",
        endpoints={"s3": "http://10.0.0.9:5000", "sts": "https://sts.example.com"},
        host_aliases=[{"ip": "10.0.0.8"}],
    )
    names, outside = egress(aws, ["10.1.0.0/16"])
    assert {entry["port"] for entry in names["ports"]} == {53} and "to" not in names
    blocks = [entry["ipBlock"] for entry in outside["to"]]
    assert blocks[0] == {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}
    assert [entry["cidr"] for entry in blocks[1:]] == ["10.1.0.0/16", "10.0.0.8/32", "10.0.0.9/32"]


@pytest.fixture(scope="module")
def recorded() -> list[pulumi.runtime.MockResourceArgs]:
    cluster = CLUSTER | {"enforcesNetworkPolicies": True}
    return declared(settings(tenants=[{"name": "default", "alertmanager": {"enabled": True}}], cluster=cluster))


def of_it(recorded: list[pulumi.runtime.MockResourceArgs]) -> dict[str, Any]:
    own = [entry for entry in recorded if entry.name.startswith("tenant-default-alertmanager-")]
    return {entry.typ.rsplit(":", 1)[1]: entry.inputs for entry in own}


def test_only_a_tenant_that_is_told_so_has_one(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    tenants = {entry.name.split("-alertmanager")[0] for entry in recorded if "alertmanager" in entry.name}
    assert tenants == {"tenant-default"}
    assert len(of_it(recorded)) == 7


def test_its_pod_has_nothing_of_the_tenant_but_its_own_objects(
    recorded: list[pulumi.runtime.MockResourceArgs],
) -> None:
    inputs = of_it(recorded)
    assert inputs["StatefulSet"]["spec"]["template"]["spec"]["serviceAccountName"] == "alertmanager"
    trusted = json.loads(inputs["Role"]["assumeRolePolicy"])["Statement"][0]["Condition"]["StringEquals"]
    assert [text for text in trusted.values() if "serviceaccount" in text] == [
        "system:serviceaccount:default-tenant:alertmanager"
    ]
    listed, read, changed = json.loads(inputs["RolePolicy"]["policy"])["Statement"]
    assert listed["Action"] == "s3:ListBucket" and "-config-" in listed["Resource"]
    assert read["Action"] == "s3:GetObject" and read["Resource"] == f"{listed['Resource']}/alerts/*"
    assert changed["Resource"] == f"{listed['Resource']}/alerts/default"
    policy = inputs["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    pod_labels = inputs["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= pod_labels.items()


def test_no_other_pod_runs_an_alertmanager(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    texts = {
        entry.name: entry.inputs["data"]["config.yaml"] for entry in recorded if entry.name.endswith("-cortex-config")
    }
    assert len(texts) == 2  # of the tenants system and default
    for text in texts.values():
        config = json.loads(text)
        assert config["target"].split(",") == [*PARTS] and "alertmanager" not in PARTS
        assert "alertmanager_storage" not in config
    urls = {name: json.loads(text)["ruler"].get("alertmanager_url") for name, text in texts.items()}
    assert urls.pop("tenant-default-cortex-config") == "http://alertmanager/alertmanager"
    assert {*urls.values()} == {None}


@pytest.mark.parametrize("where", ["tenants", "tenantDefaults"])
def test_it_is_refused_where_it_is_not_said_what_holds_it(where: str) -> None:
    on = {"alertmanager": {"enabled": True}}
    # A cluster that the user brings to the embedded cloud; on AWS, the setting is always required.
    elsewhere = dict.fromkeys(("iam", "sts"), "http://127.0.0.1:5000")
    stack = settings(
        tenants=[{"name": "default", **(on if where == "tenants" else {})}],
        cluster={name: value for name, value in CLUSTER.items() if name != "enforcesNetworkPolicies"},
        aws={"region": "us-west-2", "endpoints": elsewhere},
    )
    stack |= {"tenantDefaults": on} if where == "tenantDefaults" else {}
    with pytest.raises(ConfigError, match=r"tenant default has alertmanager\.enabled.*enforcesNetworkPolicies"):
        from_settings(stack, "showdown")


def test_one_that_nothing_holds_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", warned.append)
    cluster = CLUSTER | {"enforcesNetworkPolicies": False}
    declared(settings(tenants=[{"name": "default", "alertmanager": {"enabled": True}}], cluster=cluster))
    assert len(warned) == 1 and "reaches every pod" in warned[0]


def test_no_pod_of_the_tenant_lets_it_in(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    policy = next(entry for entry in recorded if entry.name == "tenant-default-network-policy").inputs["spec"]
    _, others = policy["ingress"][0]["from"]
    assert others["podSelector"]["matchExpressions"] == [
        {"key": NAME_LABEL, "operator": "NotIn", "values": ["alertmanager"]}
    ]
