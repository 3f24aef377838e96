"""Settling: what was made and is ours becomes part of the state, what is somebody else's never does."""

from typing import Any

import boto3
import pytest
from moto import mock_aws

from scripts.pending import UNKNOWN, found_again, settled

TAGS = {"opstrace:instance": "showdown"}
URN = "urn:pulumi:showdown::opstrace::t::n"


class Answers:
    """A client whose every call answers the same."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: self._answer


class FakeCluster:
    def __init__(self, labels: dict[str, str] | None) -> None:
        self._labels = labels

    def labels(self, *arguments: Any) -> dict[str, str] | None:
        return self._labels


def state(kind: str, inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    operation = {"type": "creating", "resource": {"urn": URN, "type": kind, "inputs": inputs, **more}}
    return {"version": 3, "deployment": {"resources": [], "pending_operations": [operation]}}


def ids(mended: dict[str, Any]) -> list[str]:
    assert "pending_operations" not in mended["deployment"]
    return [entry["id"] for entry in mended["deployment"]["resources"]]


ROLE = ("aws:iam/role:Role", {"name": "opstrace-showdown-a", "tags": TAGS})


@pytest.mark.parametrize(("tags", "found"), [([{"Key": "opstrace:instance", "Value": "showdown"}], True), ([], False)])
def test_a_role_is_taken_in_by_its_tags_and_not_by_its_name_alone(tags: list[dict[str, str]], found: bool) -> None:
    aws: Any = {"iam": Answers({"Role": {"RoleName": "opstrace-showdown-a", "Tags": tags}})}
    mended, taken, dropped, _ = settled(state(*ROLE), aws, FakeCluster(None))
    assert ids(mended) == (["opstrace-showdown-a"] if found else [])
    assert (taken, dropped) == (([URN], []) if found else ([], [URN]))


@pytest.mark.parametrize(
    ("labels", "found"), [({"app": "ours", "more": "x"}, True), ({"app": "theirs"}, False), (None, False)]
)
def test_an_object_is_taken_in_by_its_labels(labels: dict[str, str] | None, found: bool) -> None:
    metadata = {"name": "map", "namespace": "a-tenant", "labels": {"app": "ours"}}
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    mended, *_ = settled(state("kubernetes:core/v1:ConfigMap", inputs), {}, FakeCluster(labels))
    assert ids(mended) == (["a-tenant/map"] if found else [])


def test_an_id_that_the_engine_had_already_is_kept() -> None:
    mended, *_ = settled(state(*ROLE, id="known"), {}, FakeCluster(None))
    assert ids(mended) == ["known"]


@pytest.mark.parametrize(
    "gone",
    [{"provider": "urn:aws::id"}, {"parent": "urn:tenant"}, {"dependencies": ["urn:zone"]}],
)
def test_what_leans_on_something_that_was_destroyed_since_is_named_and_not_taken_in(gone: dict[str, Any]) -> None:
    """The engine would refuse a state in which it is."""
    found = settled(state(*ROLE, id="there", **gone), {}, FakeCluster(None))
    assert (ids(found.state), found.taken, found.dropped, found.beyond) == ([], [], [], {URN: "there"})
    retained = settled(state(*ROLE, id="there", retainOnDelete=True, **gone), {}, FakeCluster(None))
    assert (retained.dropped, retained.beyond) == ([URN], {})


def test_what_all_of_which_it_leans_on_is_there_is_taken_in() -> None:
    before = state(*ROLE, id="made", provider="urn:aws::id", parent="urn:tenant", dependencies=["urn:zone"])
    before["deployment"]["resources"] = [
        {"urn": "urn:aws", "type": "pulumi:providers:aws", "id": "id"},
        {"urn": "urn:tenant", "type": "opstrace:tenant:Tenant"},
        {"urn": "urn:zone", "type": "aws:route53/zone:Zone", "id": "Z"},
    ]
    assert settled(before, {}, FakeCluster(None)).taken == [URN]


def test_the_old_half_of_a_replacement_is_not_taken_for_what_was_left() -> None:
    before = state(*CERTIFICATE, dependencies=["urn:gone"])
    before["deployment"]["resources"] = [{"urn": URN, "type": CERTIFICATE[0], "id": "old"}]
    assert settled(before, certificates("old"), FakeCluster(None)).beyond == {}
    assert settled(before, certificates("old", "new"), FakeCluster(None)).beyond == {URN: "new"}


def test_the_new_half_of_a_replacement_takes_the_place_of_the_old() -> None:
    before = state(*ROLE, id="new")
    before["deployment"]["resources"] = [{"urn": URN, "type": ROLE[0], "id": "old"}]
    mended, *_ = settled(before, {}, FakeCluster(None))
    assert [(entry["id"], entry.get("delete", False)) for entry in mended["deployment"]["resources"]] == [
        ("old", True),
        ("new", False),
    ]


def test_what_does_no_harm_twice_is_dropped() -> None:
    mended, _, dropped, _ = settled(state("random:index/randomId:RandomId", {"byteLength": 4}), {}, FakeCluster(None))
    assert ids(mended) == [] and dropped == [URN]


def certificates(*arns: str) -> Any:
    class Acm:
        def get_paginator(self, name: str) -> Any:
            found = [{"CertificateArn": arn, "DomainName": "a.example"} for arn in arns]
            return Answers([{"CertificateSummaryList": found}])

        def list_tags_for_certificate(self, **arguments: Any) -> Any:
            return {"Tags": [{"Key": "opstrace:instance", "Value": "showdown"}]}

    return {"acm": Acm()}


CERTIFICATE = ("aws:acm/certificate:Certificate", {"domainName": "a.example", "tags": TAGS})


@pytest.mark.parametrize(("there", "taken_in"), [(["old"], False), (["old", "new"], True)])
def test_what_the_state_has_already_was_not_made_by_the_pending_create(there: list[str], taken_in: bool) -> None:
    before = state(*CERTIFICATE)
    before["deployment"]["resources"] = [{"urn": URN, "type": CERTIFICATE[0], "id": "old"}]
    mended, taken, dropped, _ = settled(before, certificates(*there), FakeCluster(None))
    entries = [(entry["id"], entry.get("delete", False)) for entry in mended["deployment"]["resources"]]
    assert entries == ([("old", True), ("new", False)] if taken_in else [("old", False)])
    assert (taken, dropped) == (([URN], []) if taken_in else ([], [URN]))


PARENT = "urn:pulumi:showdown::opstrace::opstrace:tenant:Tenant::tenant-a"


@pytest.mark.parametrize(
    ("change", "taken_in"),
    [
        ({}, True),
        ({"parent": f"{PARENT}-other"}, False),
        ({"dependencies": ["urn:of-what-is-not-there"]}, False),
        ({"inputs": {"domainName": UNKNOWN}}, False),
        ({"provider": f"urn:provider::{UNKNOWN}"}, False),
    ],
)
def test_what_a_dead_plugin_made_is_found_by_what_a_preview_would_create(
    change: dict[str, Any], taken_in: bool
) -> None:
    before = {"version": 3, "deployment": {"resources": [{"urn": PARENT, "type": "opstrace:tenant:Tenant"}]}}
    planned = {"urn": URN, "type": CERTIFICATE[0], "inputs": CERTIFICATE[1], "parent": PARENT} | change
    mended, taken = found_again(before, [planned], certificates("lost"), FakeCluster(None))
    assert taken == ([URN] if taken_in else [])
    assert [entry.get("id") for entry in mended["deployment"]["resources"]] == [None, *(["lost"] if taken_in else [])]


def test_a_security_group_that_was_only_just_made_lets_nothing_out_that_is_not_declared() -> None:
    """As the create would have left it, had it come to its end."""
    with mock_aws():
        ec2: Any = boto3.client("ec2", "us-west-2", aws_access_key_id="a", aws_secret_access_key="b")
        network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        tags = [
            {"ResourceType": "security-group", "Tags": [{"Key": name, "Value": text} for name, text in TAGS.items()]}
        ]
        made = ec2.create_security_group(GroupName="ours", Description="x", VpcId=network, TagSpecifications=tags)[
            "GroupId"
        ]
        ours = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        ec2.authorize_security_group_egress(GroupId=made, IpPermissions=[ours])
        inputs = {"name": "ours", "vpcId": network, "tags": TAGS}
        given: Any = {"ec2": ec2}
        for _ in range(2):
            mended, *_ = settled(state("aws:ec2/securityGroup:SecurityGroup", inputs), given, FakeCluster(None))
            assert ids(mended) == [made]
            (left,) = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"][0]["IpPermissionsEgress"]
            assert [entry["CidrIp"] for entry in left["IpRanges"]] == ["10.0.0.0/8"]
