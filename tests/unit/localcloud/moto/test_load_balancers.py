"""What answers about a load balancer and its listener contain, as on AWS."""

from typing import Any

import boto3
import moto
import pytest

from localcloud.moto import patches

TAGS = [{"Key": "team", "Value": "a"}]


def client(service: str) -> Any:
    return boto3.client(service, "us-west-2", aws_access_key_id="testing", aws_secret_access_key="testing")


def test_a_network_load_balancer_has_its_attributes_and_a_listener_shows_its_default_certificate() -> None:
    patches.correct()
    with moto.mock_aws():
        balancers, subnet = client("elbv2"), client("ec2").describe_subnets()["Subnets"][0]
        made = {"Name": "balancer", "Type": "network", "Subnets": [subnet["SubnetId"]]}
        balancer = balancers.create_load_balancer(**made, Tags=TAGS)
        arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
        assert ":loadbalancer/net/balancer/" in arn
        again = balancers.create_load_balancer(**made, Tags=TAGS)["LoadBalancers"][0]
        assert again["LoadBalancerArn"] == arn and len(balancers.describe_load_balancers()["LoadBalancers"]) == 1
        with pytest.raises(balancers.exceptions.DuplicateLoadBalancerNameException):
            balancers.create_load_balancer(**made | {"Scheme": "internal"})
        assert balancers.describe_load_balancers(Names=["balancer"])["LoadBalancers"][0]["LoadBalancerArn"] == arn
        assert balancers.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"] == TAGS
        attributes = balancers.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        values = {entry["Key"]: entry["Value"] for entry in attributes}
        assert values["dns_record.client_routing_policy"] == "any_availability_zone"
        assert values["zonal_shift.config.enabled"] == "false"
        group = balancers.create_target_group(Name="group", Protocol="TCP", Port=30443, VpcId=subnet["VpcId"])
        first, second = (
            client("acm").request_certificate(DomainName=name)["CertificateArn"] for name in ("a.example", "b.example")
        )
        forward = {"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}
        listener = balancers.create_listener(
            LoadBalancerArn=arn,
            Protocol="TLS",
            Port=443,
            Certificates=[{"CertificateArn": first}],
            DefaultActions=[forward],
        )["Listeners"][0]["ListenerArn"]
        balancers.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": second}])
        described = balancers.describe_listeners(ListenerArns=[listener])["Listeners"][0]
        every = balancers.describe_listener_certificates(ListenerArn=listener)["Certificates"]
    assert ":listener/net/balancer/" in listener
    assert described["Certificates"] == [{"CertificateArn": first}]
    assert [entry["CertificateArn"] for entry in every] == [first, second]
