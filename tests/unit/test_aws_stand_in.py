"""The AWS stand-in's own functions, against moto in this process."""

import json
from collections.abc import Iterator
from typing import Any

import moto
import pytest
from botocore.exceptions import ClientError

from localcloud.aws import corrections
from localcloud.plugins.aws_api import AwsApi
from localcloud.plugins.aws_network import TYPES as network_types
from localcloud.plugins.aws_storage import TYPES as storage_types
from localcloud.plugins.provider import ProviderError

KEYS = {"accessKey": "testing", "secretKey": "testing"}


@pytest.fixture
def api() -> Iterator[AwsApi]:
    with moto.mock_aws():
        yield AwsApi({"region": "us-west-2", **KEYS})


def test_an_attachment_that_was_detached_by_hand_is_deleted_without_an_error(api: AwsApi) -> None:
    vpc = api.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    zone = {"AvailabilityZones": ["us-west-2a"], "MinSize": 1, "MaxSize": 1}
    api.autoscaling.create_launch_configuration(
        LaunchConfigurationName="node", ImageId="ami-1", InstanceType="t2.micro"
    )
    api.autoscaling.create_auto_scaling_group(AutoScalingGroupName="nodes", LaunchConfigurationName="node", **zone)
    group = api.elbv2.create_target_group(Name="nodes", Protocol="TCP", Port=80, VpcId=vpc)["TargetGroups"][0]
    kind = network_types["aws:autoscaling/attachment:Attachment"]
    inputs = {"autoscalingGroupName": "nodes", "lbTargetGroupArn": group["TargetGroupArn"]}
    identity = kind.create(api, inputs, 10)
    assert kind.read(api, identity, inputs)
    for _ in range(2):
        kind.delete(api, identity, inputs)
        assert kind.read(api, identity, inputs) is None


def test_an_attachment_is_not_imported(api: AwsApi) -> None:
    with pytest.raises(ProviderError, match="cannot be imported"):
        network_types["aws:autoscaling/attachment:Attachment"].read(api, "nodes_arn", {})


def _inputs(api: AwsApi) -> dict[str, dict[str, Any]]:
    """Return the inputs of resources whose names are taken once they are made, by their type."""
    zone = api.route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"].rsplit("/", 1)[
        -1
    ]
    network = api.ec2.describe_subnets()["Subnets"][0]
    vpc, subnets = network["VpcId"], [network["SubnetId"]]
    return {
        "aws:s3/bucket:Bucket": {"bucket": "somebody-s"},
        "aws:iam/role:Role": {
            "name": "role",
            "assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": []}),
        },
        "aws:route53/record:Record": {
            "zoneId": zone,
            "name": "a.example.com",
            "type": "A",
            "ttl": 30,
            "records": ["192.0.2.1"],
        },
        "aws:lb/targetGroup:TargetGroup": {
            "name": "nodes",
            "port": 80,
            "protocol": "TCP",
            "vpcId": vpc,
            "tags": {"a": "b"},
        },
        "aws:lb/loadBalancer:LoadBalancer": {
            "name": "entrance",
            "loadBalancerType": "network",
            "subnets": subnets,
            "tags": {"a": "b"},
        },
    }


def test_what_is_there_already_is_never_taken_over_in_silence(api: AwsApi) -> None:
    for name, inputs in _inputs(api).items():
        kind = (network_types | storage_types)[name]
        identity = kind.create(api, inputs, 10)
        before = kind.read(api, identity, inputs)
        with pytest.raises((ProviderError, ClientError)):
            kind.create(api, inputs, 10)
        assert kind.read(api, identity, inputs) == before, name


@pytest.fixture
def corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(owner: type, method: str, by: Any) -> None:
        monkeypatch.setattr(owner, method, by)

    monkeypatch.setattr(corrections, "_replace", replace)
    corrections.correct()


def listener_of(api: AwsApi, certificate: str) -> str:
    """Return the ARN of a new listener with this certificate, at the one load balancer that there is."""
    network = api.ec2.describe_subnets()["Subnets"][0]
    there = api.elbv2.describe_load_balancers()["LoadBalancers"]
    if there:
        group = api.elbv2.describe_target_groups()
    else:
        made = api.elbv2.create_load_balancer(Name="entrance", Subnets=[network["SubnetId"]], Type="network")
        there = made["LoadBalancers"]
        group = api.elbv2.create_target_group(Name="nodes", Protocol="TCP", Port=80, VpcId=network["VpcId"])
    made = api.elbv2.create_listener(
        LoadBalancerArn=there[0]["LoadBalancerArn"],
        Protocol="TLS",
        Port=443,
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}],
    )
    return str(made["Listeners"][0]["ListenerArn"])


def certificates(api: AwsApi, count: int) -> list[str]:
    return [
        api.acm.request_certificate(DomainName=f"n{number}.example.com")["CertificateArn"] for number in range(count)
    ]


def test_a_load_balancer_has_one_listener_a_port_however_often_it_is_asked_for(corrected: None, api: AwsApi) -> None:
    first, second = certificates(api, 2)
    listener = listener_of(api, first)
    assert listener_of(api, first) == listener
    with pytest.raises(ClientError, match="DuplicateListener"):
        listener_of(api, second)


def test_a_certificate_that_is_asked_for_twice_is_shown_once(corrected: None, api: AwsApi) -> None:
    first, second = certificates(api, 2)
    listener = listener_of(api, first)
    for _ in range(2):
        api.elbv2.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    shown = api.elbv2.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert sorted(entry["CertificateArn"] for entry in shown) == sorted([first, second])


def test_a_load_balancer_has_no_more_certificates_than_the_account_s_quota(
    corrected: None, api: AwsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others, last = certificates(api, corrections.DEFAULT_CERTIFICATES + 1)
    kind = network_types["aws:lb/listenerCertificate:ListenerCertificate"]
    listener = listener_of(api, first)
    for certificate in others:
        kind.create(api, {"listenerArn": listener, "certificateArn": certificate}, 10)
    one_more = {"listenerArn": listener, "certificateArn": last}
    with pytest.raises(ClientError, match="TooManyCertificates"):
        kind.create(api, one_more, 10)
    monkeypatch.setenv(corrections.CERTIFICATES, "100")
    assert kind.read(api, kind.create(api, one_more, 10), one_more)


def test_an_alias_record_comes_back_as_it_was_given(api: AwsApi) -> None:
    zone = api.route53.create_hosted_zone(Name="a.example.com", CallerReference="1")["HostedZone"]["Id"].rsplit("/", 1)[
        -1
    ]
    kind = network_types["aws:route53/record:Record"]
    alias = {"name": "lb.elb.us-west-2.amazonaws.com", "zoneId": "Z18D5FSROUN65G", "evaluateTargetHealth": False}
    inputs = {"zoneId": zone, "name": "a.example.com", "type": "A", "aliases": [alias]}
    identity = kind.create(api, inputs, 10)
    found = kind.read(api, identity, inputs)
    assert found and found["aliases"] == [alias] and not {"ttl", "records"} & {*found}
    kind.delete(api, identity, inputs)
    assert kind.read(api, identity, inputs) is None
