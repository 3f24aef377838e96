"""The AWS stand-in's own functions, against moto in this process."""

from collections.abc import Iterator

import moto
import pytest

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
