"""What an AWS account holds before an instance is created: a network, nodes, an identity provider."""

import ipaddress
import secrets
import urllib.request
from dataclasses import asdict, dataclass
from typing import Any

import boto3

from localcloud.settings import REGION, Settings

CREDENTIALS = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
GROUP = "nodes"
SEED = 1


def client(settings: Settings, service: str) -> Any:
    """Return a boto3 client of the embedded AWS, whatever the caller's own AWS settings are."""
    return boto3.client(service, region_name=REGION, endpoint_url=settings.aws_endpoint, **CREDENTIALS)


@dataclass(frozen=True)
class Account:
    """The ids that a stack's configuration names."""

    vpc_id: str
    subnet_ids: list[str]
    node_security_group_id: str
    autoscaling_groups: list[str]
    oidc_provider_arn: str


def create(settings: Settings) -> dict[str, Any]:
    """Make the network, the nodes' instances and their autoscaling group; return the `Account` as a dict.

    An instance has its node's address, and there is a subnet for each of the nodes' networks:
    what reads targets from the API finds a node at the address that it really has.
    The ids are the same ones each time: a stack's file names them, and outlives a reboot.
    """
    _seed(settings, SEED)
    ec2 = client(settings, "ec2")
    networks = sorted({_network(address) for address in settings.node_addresses})
    vpc = ec2.create_vpc(CidrBlock=networks[0])["Vpc"]["VpcId"]
    for further in networks[1:]:
        ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=further)
    subnets = {
        network: ec2.create_subnet(VpcId=vpc, CidrBlock=network, AvailabilityZone=f"{REGION}a")["Subnet"]["SubnetId"]
        for network in networks
    }
    group = ec2.create_security_group(GroupName=GROUP, Description="The cluster's nodes", VpcId=vpc)["GroupId"]
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    instances = [
        ec2.run_instances(
            ImageId=image,
            InstanceType="t3.xlarge",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnets[_network(address)],
            PrivateIpAddress=address,
            SecurityGroupIds=[group],
        )["Instances"][0]["InstanceId"]
        for address in settings.node_addresses
    ]
    autoscaling = client(settings, "autoscaling")
    autoscaling.create_launch_configuration(
        LaunchConfigurationName=GROUP, ImageId=image, InstanceType="t3.xlarge", SecurityGroups=[group]
    )
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        LaunchConfigurationName=GROUP,
        MinSize=0,
        MaxSize=len(instances),
        DesiredCapacity=0,
        VPCZoneIdentifier=",".join(subnets.values()),
    )
    autoscaling.attach_instances(AutoScalingGroupName=GROUP, InstanceIds=instances)
    provider = client(settings, "iam").create_open_id_connect_provider(
        Url=settings.oidc_issuer, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )["OpenIDConnectProviderArn"]
    _seed(settings, secrets.randbits(64))
    return asdict(Account(vpc, list(subnets.values()), group, [GROUP], provider))


def _network(address: str) -> str:
    """Return the largest network that a subnet can have around `address`."""
    return str(ipaddress.ip_network(f"{address}/16", strict=False))


def _seed(settings: Settings, number: int) -> None:
    """Let moto draw its ids from here on as `number` says."""
    request = urllib.request.Request(f"{settings.aws_endpoint}/moto-api/seed?a={number}", method="POST")
    urllib.request.urlopen(request, timeout=10).close()
