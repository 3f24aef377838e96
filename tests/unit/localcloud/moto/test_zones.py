"""The ids of hosted zones have AWS's form, which a stack's settings require."""

import re

import boto3
import moto

from components.config.platform.aws import ZONE_PATTERN
from localcloud.moto import patches


def test_the_id_of_a_zone_is_accepted_as_the_parent_of_an_instance() -> None:
    patches.correct()
    with moto.mock_aws():
        route53 = boto3.client("route53", "us-west-2", aws_access_key_id="testing", aws_secret_access_key="testing")
        ids = [
            route53.create_hosted_zone(Name="example.com", CallerReference=str(number))["HostedZone"]["Id"]
            for number in range(20)
        ]
    assert len({*ids}) == len(ids)
    assert all(re.fullmatch(ZONE_PATTERN, zone.removeprefix("/hostedzone/")) for zone in ids), ids
