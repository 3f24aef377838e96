"""The health of a load balancer's targets, which takes time as on AWS."""

from collections.abc import Iterator
from typing import Any

import boto3
import moto
import pytest

from localcloud.moto import patches

REGION = "us-west-2"


@pytest.fixture
def account() -> Iterator[Any]:
    with moto.mock_aws():
        yield lambda service: boto3.client(
            service, REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
        )


def test_a_target_is_unused_then_initial_then_healthy(account: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("localcloud.moto.patches.time.monotonic", lambda: now[0])
    monkeypatch.setenv(patches.TARGET_SECONDS, "200")
    patches.correct()
    balancers, ec2 = account("elbv2"), account("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = balancers.create_target_group(Name="group", Protocol="TCP", Port=30443, VpcId=subnet["VpcId"])
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    node = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    balancers.register_targets(TargetGroupArn=arn, Targets=[{"Id": node}])

    def health() -> tuple[str, str | None]:
        (target,) = balancers.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return target["TargetHealth"]["State"], target["TargetHealth"].get("Reason")

    assert health() == ("unused", "Target.NotInUse")
    balancer = balancers.create_load_balancer(Name="balancer", Type="network", Subnets=[subnet["SubnetId"]])
    balancers.create_listener(
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="TCP",
        Port=443,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": arn}],
    )
    assert health() == ("initial", "Elb.RegistrationInProgress")
    now[0] += 199
    assert health() == ("initial", "Elb.RegistrationInProgress")
    now[0] += 2
    assert health()[0] == "healthy"
    balancers.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": node}])
    assert balancers.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"] == []
    balancers.register_targets(TargetGroupArn=arn, Targets=[{"Id": node}])
    assert health() == ("initial", "Elb.RegistrationInProgress")
