"""An account of moto that has what an instance needs, with recorded answers of the services that moto lacks."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError

from components.config.load import from_settings
from scripts.checks.finding import Finding
from scripts.checks.preflight import findings
from scripts.checks.subject import Account, Subject
from tests.support.contexts import EmptyCluster
from tests.support.factories import settings

REGION, ISSUER = "us-west-2", "https://oidc.eks.us-west-2.amazonaws.com/id/A"
DOMAIN, INSTANCE = "example.com", "obs"
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


class Recorded:
    """A client with recorded answers of operations that moto lacks; `client` has the others."""

    def __init__(self, client: Any = None, **answers: Any) -> None:
        self._client, self._answers = client, answers

    def can_paginate(self, operation: str) -> bool:
        return operation not in self._answers and bool(self._client.can_paginate(operation))

    def __getattr__(self, operation: str) -> Any:
        if operation in self._answers:
            return lambda **_: self._answers[operation]
        return getattr(self._client, operation)


class Denying:
    """A client whose credentials may call nothing."""

    def __init__(self, service: str, code: str) -> None:
        self._names, self._code = Services()[service].meta.method_to_api_mapping, code

    def can_paginate(self, operation: str) -> bool:
        return False

    def __getattr__(self, operation: str) -> Any:
        def call(**_: Any) -> Any:
            raise ClientError({"Error": {"Code": self._code, "Message": "not authorized"}}, self._names[operation])

        return call


class Services(dict[str, Any]):
    """Clients by service: recorded ones, and moto's."""

    def __missing__(self, service: str) -> Any:
        self[service] = boto3.client(service, REGION, **KEYS)
        return self[service]


def cluster_versions() -> dict[str, Any]:
    """Return an answer of EKS, which moto lacks, in the form of AWS's documentation."""
    version = {
        "clusterVersion": "1.34",
        "versionStatus": "STANDARD_SUPPORT",
        "endOfStandardSupportDate": datetime(2099, 1, 1, tzinfo=UTC),
    }
    return {"clusterVersions": [version]}


def recorded() -> dict[str, Any]:
    """Return the clients of the services that moto lacks. The answers have the form of AWS's documentation."""
    quotas = {
        "Quotas": [
            {"QuotaName": "Certificates per Network Load Balancer", "Value": 25.0},
            {"QuotaName": "ACM certificates", "Value": 2500.0},
            {"QuotaName": "Inbound or outbound rules per security group", "Value": 60.0},
        ]
    }
    return {"service-quotas": Recorded(list_service_quotas=quotas)}


class Node(EmptyCluster):
    """A cluster with one node."""

    def __init__(self, instance: str) -> None:
        self.paths: dict[str, Any] = {
            "/version": {"gitVersion": "v1.34.4-eks-1"},
            "/.well-known/openid-configuration": {"issuer": ISSUER},
        }
        volumes = {"provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer"}
        encrypted = {"metadata": {"name": "gp3"}, "parameters": {"encrypted": "true"}} | volumes
        self.lists: dict[str, list[dict[str, Any]]] = {
            "csidrivers": [{"metadata": {"name": "ebs.csi.aws.com"}}],
            "storageclasses": [encrypted],
        }
        self.node = {
            "metadata": {"name": "node", "labels": {"topology.kubernetes.io/zone": f"{REGION}a"}},
            "spec": {"providerID": f"aws:///{REGION}a/{instance}"},
        }

    def read(self, path: str) -> Any:
        return self.paths[path]

    def objects(self, kind: str, *_: Any) -> list[dict[str, Any]]:
        return self.lists[kind]

    def nodes(self) -> list[dict[str, Any]]:
        return [self.node]


class Dns:
    """The public DNS: records by name and kind."""

    def __init__(self, records: Mapping[tuple[str, str], list[Any]]) -> None:
        self.records = dict(records)

    def of(self, name: str, kind: str) -> list[Any]:
        return list(self.records.get((name, kind), []))


class Target:
    """A record with a target, as dnspython has it."""

    def __init__(self, target: str) -> None:
        self.target = target


class CheckedAccount:
    """An account with a network, a node, an identity provider and a parent zone, and the stack file's settings for them."""

    def __init__(self) -> None:
        self.own_stacks = 0  # tenants with stacks of their own
        self.services = Services(recorded())
        limit = {"Limit": {"Type": "MAX_RRSETS_BY_ZONE", "Value": 10_000}, "Count": 2}
        self.services["route53"] = Recorded(Services()["route53"], get_hosted_zone_limit=limit)
        self.services["eks"] = Recorded(Services()["eks"], describe_cluster_versions=cluster_versions())
        self._make_network()
        self._make_node()
        self.provider = self.make_provider()
        zone = self.services["route53"].create_hosted_zone(Name=DOMAIN, CallerReference="1")
        self.zone = zone["HostedZone"]["Id"].rsplit("/", 1)[-1]
        servers = [Target(f"{server}.") for server in zone["DelegationSet"]["NameServers"]]
        self.dns, self.cluster = Dns({(DOMAIN, "NS"): servers}), Node(self.instance)
        self.settings: dict[str, Any] = settings(
            domain=DOMAIN,
            cluster={
                "context": "eks",
                "oidcProviderArn": self.provider,
                "oidcIssuer": ISSUER,
                "nodeSecurityGroupId": self.group,
                "storageClass": "gp3",
                "enforcesNetworkPolicies": True,
            },
            loadBalancer={"vpcId": self.vpc, "subnetIds": [self.subnet], "autoscalingGroups": ["nodes"]},
            aws={"region": REGION},
        )

    def copy(self) -> "CheckedAccount":
        """Return the same account with services, records, cluster and settings that a test may change."""
        other = copy.copy(self)
        other.services, other.dns, other.settings = Services(self.services), Dns(self.dns.records), dict(self.settings)
        other.cluster = Node(self.instance)
        return other

    def make_eks_cluster(self, name: str) -> None:
        """Create an EKS cluster with a node group and a Fargate profile, and name them in the settings."""
        eks, role = self.services["eks"], "arn:aws:iam::123456789012:role/eks"
        eks.create_cluster(name=name, roleArn=role, resourcesVpcConfig={})
        eks.create_nodegroup(clusterName=name, nodegroupName="nodes", nodeRole=role, subnets=[self.subnet])
        selector = {"namespace": "karpenter"}
        eks.create_fargate_profile(
            fargateProfileName="karpenter", clusterName=name, podExecutionRoleArn=role, selectors=[selector]
        )
        self.settings["cluster"] = {**self.settings["cluster"], "name": name}
        groups = {"nodeGroups": ["nodes"], "vpcId": self.vpc, "subnetIds": [self.subnet]}
        self.settings["loadBalancer"] = groups

    def make_provider(self, audience: str = "sts.amazonaws.com") -> str:
        """Create the identity provider; return its ARN."""
        answer = self.services["iam"].create_open_id_connect_provider(
            Url=ISSUER, ClientIDList=[audience], ThumbprintList=["0" * 40]
        )
        return str(answer["OpenIDConnectProviderArn"])

    def make_key(self, setting: str = "buckets", **options: Any) -> str:
        """Create a key and name it in the settings; return its ARN."""
        arn = str(self.services["kms"].create_key(**options)["KeyMetadata"]["Arn"])
        self.name_key(setting, arn)
        return arn

    def name_key(self, setting: str, arn: str | list[str]) -> None:
        """Name a key in the settings, beside those that are there."""
        account = self.settings["aws"]
        self.settings["aws"] = account | {"kmsKeys": account.get("kmsKeys", {}) | {setting: arn}}

    def make_route(self) -> None:
        """Create the route to the internet gateway."""
        self.services["ec2"].create_route(
            RouteTableId=self.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=self.gateway
        )

    def _make_network(self) -> None:
        ec2 = self.services["ec2"]
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        place = {"VpcId": self.vpc, "AvailabilityZone": f"{REGION}a"}
        self.subnet = ec2.create_subnet(CidrBlock="10.0.0.0/20", **place)["Subnet"]["SubnetId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"]
        self.table = table["RouteTableId"]
        self.gateway = gateway
        self.make_route()
        self.group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=self.vpc)["GroupId"]

    def _make_node(self) -> None:
        ec2, scaling = self.services["ec2"], self.services["autoscaling"]
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        self.instance = ec2.run_instances(
            ImageId=image,
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnet,
            SecurityGroupIds=[self.group],
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        )["Instances"][0]["InstanceId"]
        scaling.create_launch_configuration(
            LaunchConfigurationName="nodes", ImageId=image, InstanceType="t3.large", SecurityGroups=[self.group]
        )
        scaling.create_auto_scaling_group(
            AutoScalingGroupName="nodes",
            LaunchConfigurationName="nodes",
            MinSize=0,
            MaxSize=1,
            DesiredCapacity=0,
            VPCZoneIdentifier=self.subnet,
        )
        scaling.attach_instances(AutoScalingGroupName="nodes", InstanceIds=[self.instance])

    def subject(self) -> Subject:
        """Return what the checks look at."""
        config = from_settings(self.settings, INSTANCE)
        # moto's ids of zones lack the Z with which AWS's begin.
        config = config.model_copy(update={"aws": config.aws.model_copy(update={"parent_zone_id": self.zone})})
        cluster: Any = self.cluster
        records: Any = self.dns
        return Subject(INSTANCE, config, Account(self.services), cluster, records, self.own_stacks)

    def findings(self, **options: Any) -> dict[str, Finding]:
        """Return the worst finding of each name."""
        ranks = {"ok": 0, "warning": 1, "error": 2}
        return {one.name: one for one in sorted(findings(self.subject(), **options), key=lambda one: ranks[one.level])}
