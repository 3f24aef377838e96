"""Settling of pending creates: our resources become part of the state, and other owners' resources stay out."""

from typing import Any

import boto3
import pytest
from moto import mock_aws

from components.core.resource_names import (
    CERTIFICATE_TYPE,
    CONFIG_MAP_TYPE,
    ENCRYPTION_TYPE,
    RANDOM_ID_TYPE,
    ROLE_TYPE,
    SECURITY_GROUP_TYPE,
    TENANT_TYPE,
    ZONE_TYPE,
    build_urn,
    provider_type,
)
from components.core.tags import INSTANCE_TAG
from scripts.engine.pending_creates import UNKNOWN, adopt_planned, settle_pending
from tests.support.factories import kms_key

TAGS = {INSTANCE_TAG: "showdown"}
URN = build_urn("showdown", "t", "n")
NO_AWS: Any = {}


class Answers:
    """A client with the same answer to every call."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: self._answer


class LabelledObject:
    def __init__(self, labels: dict[str, str] | None) -> None:
        self._labels = labels

    def labels(self, *arguments: Any) -> dict[str, str] | None:
        return self._labels


def cluster(labels: dict[str, str] | None) -> Any:
    """Return a cluster in which every object has these labels; None: there are no objects."""
    return LabelledObject(labels)


def state(kind: str, inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    operation = {"type": "creating", "resource": {"urn": URN, "type": kind, "inputs": inputs, **more}}
    return {"version": 3, "deployment": {"resources": [], "pending_operations": [operation]}}


def ids(changed: dict[str, Any]) -> list[str]:
    assert "pending_operations" not in changed["deployment"]
    return [entry["id"] for entry in changed["deployment"]["resources"]]


ROLE = (ROLE_TYPE, {"name": "opstrace-showdown-a", "tags": TAGS})


@pytest.mark.parametrize(("tags", "is_ours"), [([{"Key": INSTANCE_TAG, "Value": "showdown"}], True), ([], False)])
def test_a_role_is_adopted_by_its_tags_and_not_by_its_name_alone(tags: list[dict[str, str]], is_ours: bool) -> None:
    aws: Any = {"iam": Answers({"Role": {"RoleName": "opstrace-showdown-a", "Tags": tags}})}
    changed, taken, dropped, _ = settle_pending(state(*ROLE), aws, cluster(None))
    assert ids(changed) == (["opstrace-showdown-a"] if is_ours else [])
    assert (taken, dropped) == (([URN], []) if is_ours else ([], [URN]))


@pytest.mark.parametrize(
    ("labels", "is_ours"), [({"app": "ours", "more": "x"}, True), ({"app": "theirs"}, False), (None, False)]
)
def test_a_kubernetes_object_is_adopted_by_its_labels(labels: dict[str, str] | None, is_ours: bool) -> None:
    metadata = {"name": "map", "namespace": "a-tenant", "labels": {"app": "ours"}}
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    changed, *_ = settle_pending(state(CONFIG_MAP_TYPE, inputs), NO_AWS, cluster(labels))
    assert ids(changed) == (["a-tenant/map"] if is_ours else [])


def test_an_id_in_the_pending_operation_is_kept() -> None:
    changed, *_ = settle_pending(state(*ROLE, id="known"), NO_AWS, cluster(None))
    assert ids(changed) == ["known"]


@pytest.mark.parametrize(
    "gone",
    [{"provider": "urn:aws::id"}, {"parent": "urn:tenant"}, {"dependencies": ["urn:zone"]}],
)
def test_a_resource_whose_references_were_destroyed_is_named_and_not_adopted(gone: dict[str, Any]) -> None:
    """The engine would refuse a state with such a resource."""
    result = settle_pending(state(*ROLE, id="there", **gone), NO_AWS, cluster(None))
    assert (ids(result.state), result.taken, result.dropped, result.orphans) == ([], [], [], {URN: "there"})
    retained = settle_pending(state(*ROLE, id="there", retainOnDelete=True, **gone), NO_AWS, cluster(None))
    assert (retained.dropped, retained.orphans) == ([URN], {})


def test_a_resource_whose_references_all_exist_is_adopted() -> None:
    before = state(*ROLE, id="made", provider="urn:aws::id", parent="urn:tenant", dependencies=["urn:zone"])
    before["deployment"]["resources"] = [
        {"urn": "urn:aws", "type": provider_type("aws"), "id": "id"},
        {"urn": "urn:tenant", "type": TENANT_TYPE},
        {"urn": "urn:zone", "type": ZONE_TYPE, "id": "Z"},
    ]
    assert settle_pending(before, NO_AWS, cluster(None)).taken == [URN]


def test_the_old_half_of_a_replacement_is_not_reported_as_an_orphan() -> None:
    before = state(*CERTIFICATE, dependencies=["urn:gone"])
    before["deployment"]["resources"] = [{"urn": URN, "type": CERTIFICATE[0], "id": "old"}]
    assert settle_pending(before, certificates("old"), cluster(None)).orphans == {}
    assert settle_pending(before, certificates("old", "new"), cluster(None)).orphans == {URN: "new"}


def test_the_new_half_of_a_replacement_marks_the_old_half_for_deletion() -> None:
    before = state(*ROLE, id="new")
    before["deployment"]["resources"] = [{"urn": URN, "type": ROLE[0], "id": "old"}]
    changed, *_ = settle_pending(before, NO_AWS, cluster(None))
    assert [(entry["id"], entry.get("delete", False)) for entry in changed["deployment"]["resources"]] == [
        ("old", True),
        ("new", False),
    ]


def test_a_create_that_does_no_harm_twice_is_dropped() -> None:
    changed, _, dropped, _ = settle_pending(state(RANDOM_ID_TYPE, {"byteLength": 4}), NO_AWS, cluster(None))
    assert ids(changed) == [] and dropped == [URN]


@pytest.mark.parametrize(("wanted", "is_ours"), [(kms_key(1), True), (kms_key(2), False), (None, False)])
def test_the_encryption_that_every_bucket_has_is_ours_only_by_its_key(wanted: str | None, is_ours: bool) -> None:
    def rules(key: str | None) -> list[dict[str, Any]]:
        own = {"kmsMasterKeyId": key} if key else {}
        return [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms" if key else "AES256"} | own}]

    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key(1)}
    found = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    aws: Any = {"s3": Answers({"ServerSideEncryptionConfiguration": found})}
    pending = state(ENCRYPTION_TYPE, {"bucket": "tenant-1", "rules": rules(wanted)})
    changed, taken, dropped, _ = settle_pending(pending, aws, cluster(None))
    assert ids(changed) == (["tenant-1"] if is_ours else [])
    assert (taken, dropped) == (([URN], []) if is_ours else ([], [URN]))


def certificates(*arns: str) -> Any:
    class Acm:
        def get_paginator(self, name: str) -> Any:
            summaries = [{"CertificateArn": arn, "DomainName": "a.example"} for arn in arns]
            return Answers([{"CertificateSummaryList": summaries}])

        def list_tags_for_certificate(self, **arguments: Any) -> Any:
            return {"Tags": [{"Key": INSTANCE_TAG, "Value": "showdown"}]}

    return {"acm": Acm()}


CERTIFICATE = (CERTIFICATE_TYPE, {"domainName": "a.example", "tags": TAGS})


@pytest.mark.parametrize(("existing", "taken_in"), [(["old"], False), (["old", "new"], True)])
def test_a_resource_in_the_state_is_not_taken_for_the_result_of_the_pending_create(
    existing: list[str], taken_in: bool
) -> None:
    before = state(*CERTIFICATE)
    before["deployment"]["resources"] = [{"urn": URN, "type": CERTIFICATE[0], "id": "old"}]
    changed, taken, dropped, _ = settle_pending(before, certificates(*existing), cluster(None))
    entries = [(entry["id"], entry.get("delete", False)) for entry in changed["deployment"]["resources"]]
    assert entries == ([("old", True), ("new", False)] if taken_in else [("old", False)])
    assert (taken, dropped) == (([URN], []) if taken_in else ([], [URN]))


PARENT = build_urn("showdown", TENANT_TYPE, "tenant-a")


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
def test_a_planned_create_of_a_killed_plugin_is_looked_up_and_adopted(change: dict[str, Any], taken_in: bool) -> None:
    before = {"version": 3, "deployment": {"resources": [{"urn": PARENT, "type": TENANT_TYPE}]}}
    planned = {"urn": URN, "type": CERTIFICATE[0], "inputs": CERTIFICATE[1], "parent": PARENT} | change
    changed, taken = adopt_planned(before, [planned], certificates("lost"), cluster(None))
    assert taken == ([URN] if taken_in else [])
    assert [entry.get("id") for entry in changed["deployment"]["resources"]] == [None, *(["lost"] if taken_in else [])]


def test_an_adopted_security_group_loses_the_default_rules_for_outgoing_traffic() -> None:
    """A create that is not interrupted removes them."""
    with mock_aws():
        ec2: Any = boto3.client("ec2", "us-west-2", aws_access_key_id="a", aws_secret_access_key="b")
        network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        tags = [
            {"ResourceType": "security-group", "Tags": [{"Key": name, "Value": text} for name, text in TAGS.items()]}
        ]
        group = ec2.create_security_group(GroupName="ours", Description="x", VpcId=network, TagSpecifications=tags)[
            "GroupId"
        ]
        ours = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[ours])
        inputs = {"name": "ours", "vpcId": network, "tags": TAGS}
        clients: Any = {"ec2": ec2}
        for _ in range(2):
            changed, *_ = settle_pending(state(SECURITY_GROUP_TYPE, inputs), clients, cluster(None))
            assert ids(changed) == [group]
            (left,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
            assert [entry["CidrIp"] for entry in left["IpRanges"]] == ["10.0.0.0/8"]
