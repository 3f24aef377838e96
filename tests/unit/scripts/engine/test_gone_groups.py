"""Attachments of autoscaling groups that are gone leave the state; those of groups that exist stay."""

from typing import Any

import boto3
import moto
from botocore.config import Config

from components.core.resource_names import ATTACHMENT_TYPE, ZONE_TYPE
from scripts.engine.gone_groups import gone_attachments

KEYS: Any = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


def attachment(group: str) -> dict[str, Any]:
    return {"urn": f"urn::{group}", "type": ATTACHMENT_TYPE, "inputs": {"autoscalingGroupName": group}}


def test_only_attachments_of_groups_that_do_not_exist_are_gone() -> None:
    with moto.mock_aws():
        scaling = boto3.client("autoscaling", "us-west-2", **KEYS)
        scaling.create_launch_configuration(LaunchConfigurationName="node", ImageId="ami-1", InstanceType="t2.micro")
        scaling.create_auto_scaling_group(
            AutoScalingGroupName="here",
            LaunchConfigurationName="node",
            AvailabilityZones=["us-west-2a"],
            MinSize=0,
            MaxSize=1,
        )
        aws: Any = {"autoscaling": scaling}
        state = [attachment("here"), attachment("gone"), {"urn": "urn::zone", "type": ZONE_TYPE, "inputs": {}}]
        assert gone_attachments(state, aws) == {"urn::gone": "gone"}


def test_a_state_without_attachments_needs_no_request() -> None:
    no_clients: Any = {}
    assert gone_attachments([{"urn": "urn::zone", "type": ZONE_TYPE, "inputs": {}}], no_clients) == {}


def test_where_aws_does_not_answer_the_update_says_so() -> None:
    silent = boto3.client(
        "autoscaling",
        "us-west-2",
        endpoint_url="http://127.0.0.1:1",
        config=Config(retries={"total_max_attempts": 1}),
        **KEYS,
    )
    aws: Any = {"autoscaling": silent}
    assert gone_attachments([attachment("here")], aws) == {}
