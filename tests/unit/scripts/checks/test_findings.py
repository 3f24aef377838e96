"""What answers of AWS and Kubernetes mean: a row for each finding of the preflight."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from components.config.load_balancer import LoadBalancerConfig
from scripts.checks import account, cluster, domain, network, nodes, quotas, targets
from scripts.checks.finding import Finding
from scripts.clients.mismatches import account_mismatch, issuer_mismatch

ISSUER = "https://oidc.eks.us-west-2.amazonaws.com/id/A"
ARN = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/A"
CALLER = {"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:user/me"}
PROVIDER = {"Url": ISSUER.removeprefix("https://"), "ClientIDList": ["sts.amazonaws.com"]}
TODAY = datetime(2026, 11, 29, tzinfo=UTC)
SERVERS = ["ns-1.awsdns-01.org", "ns-2.awsdns-02.net"]
ZONE: dict[str, Any] = {
    "HostedZone": {"Id": "/hostedzone/Z1", "Name": "example.com."},
    "DelegationSet": {"NameServers": SERVERS},
}


def only(found: Iterable[Finding]) -> tuple[str, str]:
    """Return level and text of the only finding; all but `ok` have a remedy."""
    (one,) = found
    assert bool(one.remedy) == (one.level != "ok")
    return one.level, one.in_words()


def regions(name: str, status: str = "opt-in-not-required") -> list[dict[str, str]]:
    return [{"RegionName": name, "OptInStatus": status}]


@pytest.mark.parametrize(
    ("found", "level", "words"),
    [
        (account.account_findings(CALLER, "111122223333"), "ok", "user/me"),
        (account.account_findings(CALLER, "444455556666"), "error", "account 111122223333, but"),
        (account.region_findings("us-west-2", regions("us-west-2"), ISSUER), "ok", "us-west-2"),
        (account.region_findings("us-east-9", [], ISSUER), "error", "no region us-east-9"),
        (
            account.region_findings("af-south-1", regions("af-south-1", "not-opted-in"), "https://x"),
            "error",
            "enable-region",
        ),
        (account.region_findings("eu-west-1", regions("eu-west-1"), ISSUER), "error", "the cluster is in us-west-2"),
        (account.provider_findings(ARN, PROVIDER, ISSUER), "ok", "audience"),
        (account.provider_findings(ARN, None, ISSUER), "error", "associate-iam-oidc-provider"),
        (account.provider_findings(ARN, PROVIDER, f"{ISSUER}B"), "error", "is of the issuer"),
        (account.provider_findings(ARN, PROVIDER | {"ClientIDList": ["x"]}, ISSUER), "error", "add-client-id"),
    ],
)
def test_the_account(found: list[Finding], level: str, words: str) -> None:
    assert only(found)[0] == level and words in only(found)[1]


def versions(status: str, end: datetime | None = None) -> list[dict[str, Any]]:
    return [{"clusterVersion": "1.34", "versionStatus": status, "endOfStandardSupportDate": end}]


@pytest.mark.parametrize(
    ("version", "supported", "level", "words"),
    [
        ("v1.34.4-eks-1", versions("STANDARD_SUPPORT", datetime(2027, 8, 1, tzinfo=UTC)), "ok", "in standard support"),
        (
            "v1.34.4-eks-1",
            versions("STANDARD_SUPPORT", datetime(2026, 12, 2, tzinfo=UTC)),
            "warning",
            "ends on 2026-12-02",
        ),
        ("v1.34.4-eks-1", versions("EXTENDED_SUPPORT"), "warning", "costs extra"),
        ("v1.34.4-eks-1", versions("UNSUPPORTED"), "error", "EKS does not support Kubernetes 1.34"),
        ("v1.34.4-eks-1", [], "error", "EKS does not support Kubernetes 1.34"),
        ("v1.29.1", None, "error", "older than 1.30"),
        ("v1.34.4", None, "ok", "v1.34.4"),
        ("None", None, "warning", "'None'"),
    ],
)
def test_the_version_of_the_cluster(version: str, supported: Any, level: str, words: str) -> None:
    found = only(cluster.version_findings(version, supported, TODAY))
    assert found[0] == level and words in found[1]


@pytest.mark.parametrize(
    ("issuer", "level"), [(ISSUER, "ok"), (f"{ISSUER}/", "ok"), (f"{ISSUER}B", "error"), (None, "warning")]
)
def test_the_issuer_of_the_cluster(issuer: str | None, level: str) -> None:
    assert only(cluster.issuer_findings(issuer, ISSUER, "the context c"))[0] == level


def test_check_and_the_refusals_of_other_commands_say_the_same_of_another_account_or_cluster() -> None:
    by_account, by_issuer = account_mismatch("111122223333", "444455556666"), issuer_mismatch(f"{ISSUER}B", ISSUER, "c")
    assert by_account and by_issuer
    found = {
        only(account.account_findings(CALLER, "444455556666"))[1]: f"account: {by_account.error()}",
        only(cluster.issuer_findings(f"{ISSUER}B", ISSUER, "c"))[1]: f"issuer: {by_issuer.error()}",
    }
    assert [*found] == [*found.values()]


def cni(*arguments: str) -> dict[str, Any]:
    return {
        "spec": {"template": {"spec": {"containers": [{"name": "aws-node"}, {"name": "agent", "args": [*arguments]}]}}}
    }


@pytest.mark.parametrize(
    ("declared", "daemon_set", "level", "words"),
    [
        (True, cni("--enable-network-policy=true"), "ok", "enforced"),
        (True, None, "ok", "enforced"),
        (True, cni("--enable-network-policy=false"), "warning", "does not enforce"),
        (False, cni("--enable-network-policy=false"), "warning", "every pod of the cluster"),
        (None, None, "warning", "every pod of the cluster"),
    ],
)
def test_network_policies(declared: bool | None, daemon_set: Any, level: str, words: str) -> None:
    found = only(cluster.policy_findings(declared, daemon_set))
    assert found[0] == level and words in found[1]


def group(*states: str) -> dict[str, Any]:
    instances = [{"InstanceId": f"i-{number}", "LifecycleState": state} for number, state in enumerate(states)]
    return {"AutoScalingGroupName": "nodes", "Instances": instances}


@pytest.mark.parametrize(
    ("groups", "in_cluster", "level", "words"),
    [
        ([group("InService")], {"i-0"}, "ok", "1 autoscaling group"),
        ([], {"i-0"}, "error", "no autoscaling group nodes"),
        ([group("Terminating")], {"i-0"}, "error", "no instance in service"),
        ([group("InService")], {"i-9"}, "error", "no instance of nodes is a node"),
    ],
)
def test_node_groups(groups: Any, in_cluster: set[str], level: str, words: str) -> None:
    found = only(targets.group_findings(["nodes"], groups, in_cluster))
    assert found[0] == level and words in found[1]


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ({"HttpTokens": "required", "HttpPutResponseHopLimit": 1}, "ok"),
        ({"HttpTokens": "required", "HttpPutResponseHopLimit": 2}, "warning"),
        ({"HttpTokens": "optional", "HttpPutResponseHopLimit": 1}, "warning"),
        ({"HttpEndpoint": "disabled", "HttpTokens": "optional", "HttpPutResponseHopLimit": 2}, "ok"),
    ],
)
def test_the_metadata_of_nodes(options: Any, level: str) -> None:
    found = only(nodes.metadata_findings([{"InstanceId": "i-1", "MetadataOptions": options}]))
    assert found[0] == level and ("i-1" in found[1]) == (level == "warning")


def balancer(*, internal: bool = False) -> LoadBalancerConfig:
    settings = {"vpcId": "vpc-1", "subnetIds": ["subnet-a"], "autoscalingGroups": ["nodes"], "internal": internal}
    return LoadBalancerConfig.model_validate(settings)


def subnet(identity: str = "subnet-a", **more: Any) -> dict[str, Any]:
    base = {"SubnetId": identity, "VpcId": "vpc-1", "AvailabilityZone": "us-west-2a", "AvailableIpAddressCount": 100}
    return base | more


@pytest.mark.parametrize(
    ("subnets", "words"),
    [
        ([subnet(VpcId="vpc-2")], "is in vpc-2"),
        ([subnet(), subnet("subnet-b")], "subnet-a and subnet-b are both in us-west-2a"),
        ([subnet(AvailableIpAddressCount=7)], "7 free addresses"),
    ],
)
def test_subnets_that_a_load_balancer_cannot_have(subnets: Any, words: str) -> None:
    level, text = only(network.subnet_findings(balancer(), subnets))
    assert level == "error" and words in text
    assert network.subnet_findings(balancer(), [subnet(), subnet("subnet-b", AvailabilityZone="us-west-2b")]) == []


def table(gateway: str, **association: Any) -> dict[str, Any]:
    return {"Associations": [association], "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}]}


PUBLIC_MAIN = table("igw-1", Main=True)


@pytest.mark.parametrize(
    ("tables", "internal", "level"),
    [
        ([PUBLIC_MAIN], False, None),
        ([table("nat-1", Main=True)], False, "error"),
        ([PUBLIC_MAIN, table("nat-1", SubnetId="subnet-a")], False, "error"),
        ([table("nat-1", Main=True), table("igw-1", SubnetId="subnet-a")], False, None),
        ([], False, "error"),
        ([PUBLIC_MAIN], True, "warning"),
        ([table("nat-1", Main=True)], True, None),
    ],
)
def test_routes_of_subnets(tables: Any, internal: bool, level: str | None) -> None:
    found = network.route_findings(balancer(internal=internal), [subnet()], tables)
    assert [one.level for one in found] == ([level] if level else [])


def test_zones_of_nodes_without_a_subnet() -> None:
    assert network.zone_findings([subnet()], {"us-west-2a"}) == network.zone_findings([subnet()], set()) == []
    assert only(network.zone_findings([subnet()], {"us-west-2a", "us-west-2b"}))[0] == "warning"
    assert only(network.zone_findings([subnet()], {"us-west-2b", "us-west-2c"}))[0] == "error"


def test_the_security_group_of_the_nodes() -> None:
    own = {"GroupId": "sg-1", "VpcId": "vpc-1"}
    with_it = {"InstanceId": "i-1", "SecurityGroups": [{"GroupId": "sg-1"}]}
    without = {"InstanceId": "i-2", "SecurityGroups": [{"GroupId": "sg-2"}]}
    assert only(network.security_group_findings(own, "vpc-1", [with_it]))[0] == "ok"
    assert "is in vpc-1" in only(network.security_group_findings(own, "vpc-2", [with_it]))[1]
    assert only(network.security_group_findings(own, "vpc-1", [without]))[0] == "error"
    level, text = only(network.security_group_findings(own, "vpc-1", [with_it, without]))
    assert level == "warning" and "i-2" in text and "i-1" not in text


def zone(**more: Any) -> dict[str, Any]:
    return ZONE | {"HostedZone": {**ZONE["HostedZone"], **more}}


@pytest.mark.parametrize(
    ("answer", "public", "level", "words"),
    [
        (ZONE, {*SERVERS}, "ok", "Z1 of example.com"),
        (zone(Name="example.net."), {*SERVERS}, "error", "zone of example.net"),
        (zone(Config={"PrivateZone": True}), {*SERVERS}, "error", "private zone"),
        (ZONE, {"ns.elsewhere.net"}, "error", "has ns.elsewhere.net for example.com"),
        (ZONE, set(), "error", "no name server for example.com"),
    ],
)
def test_the_parent_zone(answer: Any, public: set[str], level: str, words: str) -> None:
    found = only(domain.zone_findings(answer, "example.com", public))
    assert found[0] == level and words in found[1]


@pytest.mark.parametrize(
    ("zones", "public", "level", "words"),
    [
        ([[f"{name}." for name in SERVERS]], {*SERVERS}, "ok", "obs.example.com to ns-1"),
        ([SERVERS], set(), "warning", "no name server for obs.example.com"),
        ([SERVERS], {"ns.old.net"}, "warning", "has ns.old.net"),
        ([SERVERS, ["ns.other.net"]], {*SERVERS}, "error", "2 hosted zones"),
    ],
)
def test_the_delegation(zones: Any, public: set[str], level: str, words: str) -> None:
    found = only(domain.delegation_findings("obs.example.com", zones, public))
    assert found[0] == level and words in found[1]


def test_an_earlier_delegation_is_in_the_way_of_a_new_instance() -> None:
    assert only(domain.free_findings("obs.example.com", "Z1", []))[0] == "ok"
    level, text = only(domain.free_findings("obs.example.com", "Z1", ["ns.old.net."]))
    assert level == "error" and "ns.old.net" in text and "delete the NS record obs.example.com from Z1" in text


@pytest.mark.parametrize(
    ("records", "level", "words"),
    [
        ({}, "ok", "no records"),
        ({"example.com": [("issue", "amazon.com")]}, "ok", "example.com admit Amazon"),
        ({"example.com": [("issue", "amazonaws.com; validationmethods=dns-01")]}, "ok", "admit Amazon"),
        ({"example.com": [("iodef", "mailto:a@example.com")]}, "ok", "admit Amazon"),
        ({"example.com": [("issue", "letsencrypt.org")]}, "error", '0 issue "amazon.com"'),
        ({"example.com": [("issue", ";")]}, "error", "(issue: "),
        (
            {"example.com": [("issue", "amazon.com"), ("issuewild", "letsencrypt.org")]},
            "error",
            '0 issuewild "amazon.com"',
        ),
        (
            {"obs.example.com": [("issue", "amazon.com")], "example.com": [("issue", "x.org")]},
            "ok",
            "of obs.example.com",
        ),
    ],
)
def test_authorities_for_certificates(records: dict[str, list[tuple[str, str]]], level: str, words: str) -> None:
    found = only(domain.authority_findings("obs.example.com", lambda name: records.get(name, [])))
    assert found[0] == level and words in found[1]


@pytest.mark.parametrize(("used", "level"), [(22, "ok"), (23, "warning"), (25, "warning"), (26, "error")])
def test_quotas(used: int, level: str) -> None:
    assert only(quotas.quota_findings("quota", "Certificates per Network Load Balancer", 25, used))[0] == level


def test_too_many_ranges_are_summarised_where_they_adjoin_or_overlap() -> None:
    adjoining = [f"10.0.{number}.0/24" for number in range(64)]
    remedy = quotas.rules_remedy([*adjoining, "10.0.1.0/25", "192.0.2.1/32"])
    assert "write these 2 ranges, which admit the same addresses: 10.0.0.0/18, 192.0.2.1/32" in remedy
    assert "`opstrace:dataApi.tenants.*.allowedCidrs`" in remedy
    apart = quotas.rules_remedy([f"10.{number}.0.0/24" for number in range(61)])
    assert "no ranges adjoin or overlap" in apart and "`opstrace:dataApi.tenants.*.allowedCidrs`" in apart


def test_a_quota_is_found_by_its_name_or_has_its_default() -> None:
    listed = [{"QuotaName": "ACM certificates", "Value": 5000.0}]
    assert quotas.applied_quota(listed, "ACM certificates", 2500) == 5000
    assert quotas.applied_quota([], "ACM certificates", 2500) == 2500
