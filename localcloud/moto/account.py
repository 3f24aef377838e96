"""The initial content of the AWS account: a network, the nodes' instances and an identity provider."""

import ipaddress
import secrets
import urllib.request
from dataclasses import asdict, dataclass
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localcloud.moto.authorization import credentials
from localcloud.settings import REGION, Settings

GROUP = "nodes"
SEED = 1


def client(settings: Settings, service: str) -> Any:
    """Return a boto3 client of the embedded AWS, with the administrator's credentials."""
    keys: Any = credentials.administrator(settings)
    return boto3.client(service, region_name=REGION, endpoint_url=settings.aws_endpoint, **keys)


def control(settings: Settings, method: str, path: str) -> bytes:
    """Return the answer of one of moto's own control paths, which only the administrator may use."""
    keys = credentials.administrator(settings)
    credential = Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])
    request = AWSRequest(method, f"{settings.aws_endpoint}{path}")
    SigV4Auth(credential, "moto", REGION).add_auth(request)
    signed = urllib.request.Request(request.url, method=method, headers=dict(request.headers))
    with urllib.request.urlopen(signed, timeout=60) as answer:
        return bytes(answer.read())


def is_ready(settings: Settings) -> bool:
    """Tell whether the API answers the administrator."""
    try:
        control(settings, "GET", "/moto-api/data.json")
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Account:
    """The ids that a stack's configuration needs."""

    vpc_id: str
    subnet_ids: list[str]
    node_security_group_id: str
    autoscaling_groups: list[str]
    oidc_provider_arn: str


def create(settings: Settings) -> dict[str, Any]:
    """Create the network, the nodes' instances and their autoscaling group; return the `Account` as a dict.

    Each instance has its node's address, in a subnet of the node's network, so the targets in the API have the nodes' real
    addresses. The ids are the same in every run, because stack files with these ids outlive a reboot.
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
    """Return the network of the largest possible subnet with `address`."""
    return str(ipaddress.ip_network(f"{address}/16", strict=False))


def _seed(settings: Settings, number: int) -> None:
    """Seed the generator from which moto draws its ids."""
    control(settings, "POST", f"/moto-api/seed?a={number}")
