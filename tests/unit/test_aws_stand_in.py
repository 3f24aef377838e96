"""The AWS stand-in's own functions, against moto in this process."""

from collections.abc import Iterator
from typing import Any

import moto
import pytest

from localcloud.aws import corrections
from localcloud.plugins.aws_api import AwsApi
from localcloud.plugins.aws_network import TYPES

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
    kind = TYPES["aws:autoscaling/attachment:Attachment"]
    inputs = {"autoscalingGroupName": "nodes", "lbTargetGroupArn": group["TargetGroupArn"]}
    identity = kind.create(api, inputs, 10)
    assert kind.read(api, identity, inputs)
    for _ in range(2):
        kind.delete(api, identity, inputs)
        assert kind.read(api, identity, inputs) is None


@pytest.fixture
def corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(owner: type, method: str, by: Any) -> None:
        monkeypatch.setattr(owner, method, by)

    monkeypatch.setattr(corrections, "_replace", replace)
    corrections.correct()


def test_a_certificate_that_is_asked_for_twice_is_shown_once(corrected: None, api: AwsApi) -> None:
    network = api.ec2.describe_subnets()["Subnets"][0]
    made = api.elbv2.create_load_balancer(Name="entrance", Subnets=[network["SubnetId"]], Type="network")
    group = api.elbv2.create_target_group(Name="nodes", Protocol="TCP", Port=80, VpcId=network["VpcId"])
    first, second = (
        api.acm.request_certificate(DomainName=name)["CertificateArn"] for name in ("a.example.com", "b.example.com")
    )
    listener = api.elbv2.create_listener(
        LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="TLS",
        Port=443,
        Certificates=[{"CertificateArn": first}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}],
    )["Listeners"][0]["ListenerArn"]
    for _ in range(2):
        api.elbv2.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": second}])
    shown = api.elbv2.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert sorted(entry["CertificateArn"] for entry in shown) == sorted([first, second])


def test_an_alias_record_comes_back_as_it_was_given(api: AwsApi) -> None:
    zone = api.route53.create_hosted_zone(Name="a.example.com", CallerReference="1")["HostedZone"]["Id"].rsplit("/", 1)[
        -1
    ]
    kind = TYPES["aws:route53/record:Record"]
    alias = {"name": "lb.elb.us-west-2.amazonaws.com", "zoneId": "Z18D5FSROUN65G", "evaluateTargetHealth": False}
    inputs = {"zoneId": zone, "name": "a.example.com", "type": "A", "aliases": [alias]}
    identity = kind.create(api, inputs, 10)
    found = kind.read(api, identity, inputs)
    assert found and found["aliases"] == [alias] and not {"ttl", "records"} & {*found}
    kind.delete(api, identity, inputs)
    assert kind.read(api, identity, inputs) is None
