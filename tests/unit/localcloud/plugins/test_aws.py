"""The AWS stand-in's own functions, against moto in this process."""

import json
from collections.abc import Iterator
from typing import Any

import moto
import pytest
from botocore.exceptions import ClientError

from components.core.resource_names import (
    ATTACHMENT_TYPE,
    BUCKET_TYPE,
    ENCRYPTION_TYPE,
    INGRESS_RULE_TYPE,
    LISTENER_CERTIFICATE_TYPE,
    LOAD_BALANCER_TYPE,
    RECORD_TYPE,
    ROLE_TYPE,
    SECRET_TYPE,
    SECRET_VERSION_TYPE,
    TARGET_GROUP_TYPE,
    ZONE_TYPE,
)
from localcloud.moto import patches
from localcloud.plugins.aws.__main__ import Aws
from localcloud.plugins.aws.api import AwsApi
from localcloud.plugins.aws.resource_types import TYPES
from localcloud.plugins.provider import ProviderError
from tests.support.factories import kms_key

KEYS = {"accessKey": "testing", "secretKey": "testing"}


@pytest.fixture
def api() -> Iterator[AwsApi]:
    with moto.mock_aws():
        yield AwsApi({"region": "us-west-2", **KEYS})


@pytest.mark.parametrize("allowed", ["123456789012", "210987654321"])
def test_credentials_of_an_account_that_is_not_allowed_are_refused(allowed: str) -> None:
    config = {"region": "us-west-2", "allowedAccountIds": json.dumps([allowed]), **KEYS}
    with moto.mock_aws():  # its account is 123456789012
        if allowed == "123456789012":
            Aws().configure(config)
        else:
            with pytest.raises(ProviderError, match="AWS account ID not allowed: 123456789012"):
                Aws().configure(config)


def test_an_attachment_that_was_detached_by_hand_is_deleted_without_an_error(api: AwsApi) -> None:
    vpc = api.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    zone = {"AvailabilityZones": ["us-west-2a"], "MinSize": 1, "MaxSize": 1}
    api.autoscaling.create_launch_configuration(
        LaunchConfigurationName="node", ImageId="ami-1", InstanceType="t2.micro"
    )
    api.autoscaling.create_auto_scaling_group(AutoScalingGroupName="nodes", LaunchConfigurationName="node", **zone)
    group = api.elbv2.create_target_group(Name="nodes", Protocol="TCP", Port=80, VpcId=vpc)["TargetGroups"][0]
    kind = TYPES[ATTACHMENT_TYPE]
    inputs = {"autoscalingGroupName": "nodes", "lbTargetGroupArn": group["TargetGroupArn"]}
    identity = kind.create(api, inputs, 10)
    assert kind.read(api, identity, inputs)
    for _ in range(2):
        kind.delete(api, identity, inputs)
        assert kind.read(api, identity, inputs) is None


def test_an_attachment_of_a_group_that_is_gone_cannot_be_deleted_but_a_refresh_drops_it(
    corrected: None, api: AwsApi
) -> None:
    """Like the official plugin (hashicorp/aws, autoscaling/attachment.go): only classic load balancers are tolerated."""
    kind = TYPES[ATTACHMENT_TYPE]
    inputs = {"autoscalingGroupName": "nodes", "lbTargetGroupArn": "arn"}
    for call in (lambda: kind.create(api, inputs, 10), lambda: kind.delete(api, "nodes_arn", inputs)):
        with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
            call()
    assert kind.read(api, "nodes_arn", inputs) is None


def test_an_attachment_is_not_imported(api: AwsApi) -> None:
    with pytest.raises(ProviderError, match="cannot be imported"):
        TYPES[ATTACHMENT_TYPE].read(api, "nodes_arn", {})


@pytest.mark.parametrize("described", [{}, {"description": "from the office"}])
def test_a_rule_of_a_security_group_has_a_description_only_where_one_is_declared(
    api: AwsApi, described: dict[str, str]
) -> None:
    vpc = api.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = api.ec2.create_security_group(GroupName="group", Description="group", VpcId=vpc)["GroupId"]
    inputs = {"securityGroupId": group, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": "192.0.2.0/24"}
    kind = TYPES[INGRESS_RULE_TYPE]
    live = kind.read(api, kind.create(api, inputs | described, 10), inputs | described)
    assert live and {name: text for name, text in live.items() if name == "description"} == described


def _inputs(api: AwsApi) -> dict[str, dict[str, Any]]:
    """Return the inputs of resources with unique names, by their type."""
    zone = api.route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"].rsplit("/", 1)[
        -1
    ]
    network = api.ec2.describe_subnets()["Subnets"][0]
    vpc, subnets = network["VpcId"], [network["SubnetId"]]
    return {
        BUCKET_TYPE: {"bucket": "somebody-s"},
        ROLE_TYPE: {
            "name": "role",
            "assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": []}),
        },
        RECORD_TYPE: {
            "zoneId": zone,
            "name": "a.example.com",
            "type": "A",
            "ttl": 30,
            "records": ["192.0.2.1"],
        },
        TARGET_GROUP_TYPE: {
            "name": "nodes",
            "port": 80,
            "protocol": "TCP",
            "vpcId": vpc,
            "tags": {"a": "b"},
        },
        LOAD_BALANCER_TYPE: {
            "name": "entrance",
            "loadBalancerType": "network",
            "subnets": subnets,
            "tags": {"a": "b"},
        },
    }


def test_a_resource_that_already_exists_is_never_taken_over_in_silence(api: AwsApi) -> None:
    for name, inputs in _inputs(api).items():
        kind = TYPES[name]
        identity = kind.create(api, inputs, 10)
        before = kind.read(api, identity, inputs)
        with pytest.raises((ProviderError, ClientError)):
            kind.create(api, inputs, 10)
        assert kind.read(api, identity, inputs) == before, name


@pytest.fixture
def corrected() -> None:
    """Moto answers as AWS does, from here on in the whole process, as in the embedded cloud."""
    patches.correct()


def listener_of(api: AwsApi, certificate: str) -> str:
    """Return the ARN of a new listener with this certificate at the only load balancer."""
    network = api.ec2.describe_subnets()["Subnets"][0]
    balancers = api.elbv2.describe_load_balancers()["LoadBalancers"]
    if balancers:
        group = api.elbv2.describe_target_groups()
    else:
        created = api.elbv2.create_load_balancer(Name="entrance", Subnets=[network["SubnetId"]], Type="network")
        balancers = created["LoadBalancers"]
        group = api.elbv2.create_target_group(Name="nodes", Protocol="TCP", Port=80, VpcId=network["VpcId"])
    created = api.elbv2.create_listener(
        LoadBalancerArn=balancers[0]["LoadBalancerArn"],
        Protocol="TLS",
        Port=443,
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}],
    )
    return str(created["Listeners"][0]["ListenerArn"])


def certificates(api: AwsApi, count: int) -> list[str]:
    return [
        api.acm.request_certificate(DomainName=f"n{number}.example.com")["CertificateArn"] for number in range(count)
    ]


def test_a_load_balancer_has_one_listener_for_each_port_however_often_it_is_created(
    corrected: None, api: AwsApi
) -> None:
    first, second = certificates(api, 2)
    listener = listener_of(api, first)
    assert listener_of(api, first) == listener
    with pytest.raises(ClientError, match="DuplicateListener"):
        listener_of(api, second)


def test_a_certificate_that_is_added_twice_is_listed_once(corrected: None, api: AwsApi) -> None:
    first, second = certificates(api, 2)
    listener = listener_of(api, first)
    for _ in range(2):
        api.elbv2.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    listed = api.elbv2.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert sorted(entry["CertificateArn"] for entry in listed) == sorted([first, second])


def test_a_load_balancer_has_no_more_certificates_than_the_account_s_quota(
    corrected: None, api: AwsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others, last = certificates(api, patches.DEFAULT_CERTIFICATES + 1)
    kind = TYPES[LISTENER_CERTIFICATE_TYPE]
    listener = listener_of(api, first)
    for certificate in others:
        kind.create(api, {"listenerArn": listener, "certificateArn": certificate}, 10)
    one_more = {"listenerArn": listener, "certificateArn": last}
    with pytest.raises(ClientError, match="TooManyCertificates"):
        kind.create(api, one_more, 10)
    monkeypatch.setenv(patches.CERTIFICATES, "100")
    assert kind.read(api, kind.create(api, one_more, 10), one_more)


def test_an_alias_record_is_read_back_as_it_was_written(api: AwsApi) -> None:
    zone = api.route53.create_hosted_zone(Name="a.example.com", CallerReference="1")["HostedZone"]["Id"].rsplit("/", 1)[
        -1
    ]
    kind = TYPES[RECORD_TYPE]
    alias = {"name": "lb.elb.us-west-2.amazonaws.com", "zoneId": "Z18D5FSROUN65G", "evaluateTargetHealth": False}
    inputs = {"zoneId": zone, "name": "a.example.com", "type": "A", "aliases": [alias]}
    identity = kind.create(api, inputs, 10)
    live = kind.read(api, identity, inputs)
    assert live and live["aliases"] == [alias] and not {"ttl", "records"} & {*live}
    kind.delete(api, identity, inputs)
    assert kind.read(api, identity, inputs) is None


def test_a_zone_s_own_name_servers_get_another_ttl_but_cannot_be_deleted(corrected: None, api: AwsApi) -> None:
    zone = TYPES[ZONE_TYPE].create(api, {"name": "a.example.com"}, 10)
    servers = api.route53.get_hosted_zone(Id=zone)["DelegationSet"]["NameServers"]
    kind = TYPES[RECORD_TYPE]
    inputs = {"zoneId": zone, "name": "a.example.com", "type": "NS", "ttl": 30, "records": sorted(servers)}
    with pytest.raises(ProviderError, match="already exists"):
        kind.create(api, inputs, 10)
    identity = kind.create(api, inputs | {"allowOverwrite": True}, 10)
    live = kind.read(api, identity, inputs)
    assert live and (live["ttl"], live["records"]) == (30, sorted(servers))
    with pytest.raises(ClientError, match="must contain at least one NS record"):
        kind.delete(api, identity, inputs)
    assert kind.read(api, identity, inputs) == live
    TYPES[ZONE_TYPE].delete(api, zone, {})
    assert TYPES[ZONE_TYPE].read(api, zone, {}) is None


def test_a_role_has_its_path_and_a_boundary_that_exists(corrected: None, api: AwsApi) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    allowed = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    boundary = api.iam.create_policy(PolicyName="bounds", PolicyDocument=allowed)["Policy"]["Arn"]
    kind, inputs = TYPES[ROLE_TYPE], {"name": "role", "assumeRolePolicy": document, "path": "/a/"}
    with pytest.raises(ClientError, match="does not exist or is not attachable"):
        kind.create(api, inputs | {"permissionsBoundary": f"{boundary}-other"}, 10)
    bounded = inputs | {"permissionsBoundary": boundary}
    identity = kind.create(api, bounded, 10)

    def read() -> dict[str, Any]:
        return kind.read(api, identity, bounded) or {}

    assert (read()["path"], read()["permissionsBoundary"]) == ("/a/", boundary)
    assert kind.update
    kind.update(api, identity, bounded, inputs)
    assert "permissionsBoundary" not in read()
    with pytest.raises(ClientError, match="does not exist or is not attachable"):
        kind.update(api, identity, inputs, bounded | {"permissionsBoundary": f"{boundary}-other"})
    kind.update(api, identity, inputs, bounded)
    assert read()["permissionsBoundary"] == boundary


def test_a_protected_load_balancer_is_not_deleted_until_an_update_takes_the_protection_off(
    corrected: None, api: AwsApi
) -> None:
    kind, inputs = TYPES[LOAD_BALANCER_TYPE], _inputs(api)[LOAD_BALANCER_TYPE]
    protected = inputs | {"enableDeletionProtection": True}
    identity = kind.create(api, protected, 10)
    assert (kind.read(api, identity, protected) or {})["enableDeletionProtection"] is True
    with pytest.raises(ClientError, match="deletion protection is enabled"):
        kind.delete(api, identity, protected)
    assert kind.read(api, identity, protected) and kind.update
    kind.update(api, identity, protected, inputs)
    kind.delete(api, identity, inputs)
    assert kind.read(api, identity, inputs) is None


def test_the_encryption_of_a_bucket_is_read_as_it_was_written_and_never_missing(corrected: None, api: AwsApi) -> None:
    kind, key = TYPES[ENCRYPTION_TYPE], api.kms.create_key()["KeyMetadata"]["Arn"]
    TYPES[BUCKET_TYPE].create(api, {"bucket": "tenant-1"}, 10)
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key}
    inputs = {
        "bucket": "tenant-1",
        "rules": [{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}],
    }
    s3s_own = [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}]

    def rules() -> Any:
        return (kind.read(api, "tenant-1", inputs) or {})["rules"]

    assert rules() == s3s_own  # before, and once somebody took the key off by hand
    assert kind.create(api, inputs, 10) == "tenant-1" and rules() == inputs["rules"]
    assert kind.update
    kind.update(api, "tenant-1", inputs, inputs | {"rules": s3s_own})
    assert rules() == s3s_own
    kind.update(api, "tenant-1", inputs, inputs)
    kind.delete(api, "tenant-1", inputs)
    assert rules() == s3s_own
    TYPES[BUCKET_TYPE].delete(api, "tenant-1", {})
    kind.delete(api, "tenant-1", inputs)
    assert kind.read(api, "tenant-1", inputs) is None


def test_a_secret_changes_its_key_but_never_loses_it_in_place(corrected: None, api: AwsApi) -> None:
    """Like the official plugin (hashicorp/terraform-provider-aws#21623)."""
    kind = TYPES[SECRET_TYPE]
    first, second = (api.kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    inputs = {"name": "keys", "kmsKeyId": first}
    identity = kind.create(api, inputs, 10)

    def key() -> Any:
        return (kind.read(api, identity, inputs) or {}).get("kmsKeyId")

    assert key() == first and kind.update
    kind.update(api, identity, inputs, inputs | {"kmsKeyId": second})
    assert key() == second
    kind.update(api, identity, inputs, {"name": "keys", "description": "x"})
    assert key() == second
    plain = {"name": "plain"}
    assert "kmsKeyId" not in (kind.read(api, kind.create(api, plain, 10), plain) or {})


def test_a_secret_takes_no_value_under_a_key_that_cannot_be_used(corrected: None, api: AwsApi) -> None:
    key = api.kms.create_key()["KeyMetadata"]["Arn"]
    secret = TYPES[SECRET_TYPE].create(api, {"name": "keys", "kmsKeyId": key}, 10)
    version = {"secretId": secret, "secretString": "{}"}
    kind = TYPES[SECRET_VERSION_TYPE]
    identity = kind.create(api, version, 10)
    api.kms.disable_key(KeyId=key)
    with pytest.raises(ClientError, match=r"\(EncryptionFailure\).* is disabled"):
        kind.create(api, version | {"secretString": "other"}, 10)
    with pytest.raises(ClientError, match="DecryptionFailure"):
        kind.read(api, identity, version)
    TYPES[SECRET_TYPE].update(api, secret, {}, {"description": "needs no key"})  # type: ignore[misc]  # it has an update
    with pytest.raises(ClientError, match="EncryptionFailure"):
        api.secretsmanager.update_secret(SecretId=secret, KmsKeyId=kms_key(9))
    api.kms.enable_key(KeyId=key)
    assert kind.read(api, identity, version)
    api.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with pytest.raises(ClientError, match=r"\(DecryptionFailure\).* is pending deletion"):
        kind.read(api, identity, version)
