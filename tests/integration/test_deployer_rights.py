"""The policies of a deployer, in the embedded AWS: they permit changes of its instance alone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from components.core.names import instance_domain
from components.core.tags import INSTANCE_TAG
from localcloud.settings import REGION
from scripts.instances.deployer.key_rights import keys
from scripts.instances.deployer.policy import DEPLOYER, document, rights
from scripts.instances.deployer.rights import Scope
from tests.support.aws_requests import OWN
from tests.support.aws_users import USER, is_refused, make_user, remove_user
from tests.support.embedded_aws import EmbeddedAws, refusal

INSTANCE, OTHER = "observability", "other"
ZONE = instance_domain(INSTANCE, "example.com")
TAGS = [{"Key": INSTANCE_TAG, "Value": INSTANCE}]
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ADMIN = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


class Account:
    """The account, with what it has beside the instance; clients of the administrator and of the deployer."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws
        facts = json.loads((aws.settings.node / "account.json").read_text())
        self.vpc, self.nodes = facts["vpc_id"], facts["node_security_group_id"]
        self.subnets, self.group = facts["subnet_ids"], facts["autoscaling_groups"][0]
        boundary = self.admin("iam").create_policy(PolicyName="boundary", PolicyDocument=ADMIN)["Policy"]["Arn"]
        self.boundary: str = boundary
        self.scope = Scope(
            instance=INSTANCE,
            domain=ZONE,
            account="123456789012",
            region=REGION,
            vpc_id=self.vpc,
            node_security_group_id=self.nodes,
            oidc_provider_arn=facts["oidc_provider_arn"],
            eks_name="cluster",
            permissions_boundary=boundary,
        )
        policies: dict[str, Any] = {part: document(rights(part, self.scope)) for part in DEPLOYER}
        self._key = make_user(self.admin("iam"), policies)

    def admin(self, service: str) -> Any:
        return self._aws.client(service)

    def deployer(self, service: str) -> Any:
        return self._aws.client(service, **self._key)

    def close(self) -> None:
        remove_user(self.admin("iam"))
        self.admin("iam").delete_policy(PolicyArn=self.boundary)


@pytest.fixture(scope="module")
def account(aws: EmbeddedAws) -> Iterator[Account]:
    made = Account(aws)
    yield made
    made.close()


def test_a_deployer_changes_buckets_of_its_instance_alone_and_reads_no_object(account: Account) -> None:
    s3, name = account.deployer("s3"), f"{INSTANCE}-team-metrics-1"
    where = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    s3.create_bucket(Bucket=name, **where)
    account.admin("s3").put_object(Bucket=name, Key="x", Body=b"x")
    assert is_refused(s3.get_object, Bucket=name, Key="x")
    assert is_refused(s3.put_object, Bucket=name, Key="y", Body=b"y")
    s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "x"}]})
    s3.delete_bucket(Bucket=name)
    assert is_refused(s3.create_bucket, Bucket=f"{OTHER}-team-metrics-1", **where)
    assert is_refused(s3.delete_bucket, Bucket=OWN) and is_refused(s3.list_objects_v2, Bucket=OWN)
    gone = s3.delete_objects(Bucket=OWN, Delete={"Objects": [{"Key": "probe"}]})
    assert [entry["Code"] for entry in gone["Errors"]] == ["AccessDenied"]


def test_a_deployer_grants_to_roles_of_its_instance_alone_within_the_boundary(account: Account) -> None:
    iam, admin, name = account.deployer("iam"), account.admin("iam"), f"opstrace-{INSTANCE}-team"
    made = {"AssumeRolePolicyDocument": TRUST}
    assert is_refused(iam.create_role, RoleName=name, **made)
    iam.create_role(RoleName=name, PermissionsBoundary=account.boundary, Tags=TAGS, **made)
    put = {"PolicyName": "buckets", "PolicyDocument": ADMIN}
    iam.put_role_policy(RoleName=name, **put)
    assert is_refused(iam.delete_role_permissions_boundary, RoleName=name)
    other = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert is_refused(iam.put_role_permissions_boundary, RoleName=name, PermissionsBoundary=other)
    assert is_refused(iam.attach_role_policy, RoleName=name, PolicyArn=other)
    iam.delete_role_policy(RoleName=name, PolicyName="buckets")
    iam.delete_role(RoleName=name)
    foreign = f"opstrace-{OTHER}-team"
    assert is_refused(iam.create_role, RoleName=foreign, PermissionsBoundary=account.boundary, **made)
    admin.create_role(RoleName=foreign, **made)
    assert is_refused(iam.put_role_policy, RoleName=foreign, **put) and is_refused(iam.delete_role, RoleName=foreign)
    admin.delete_role(RoleName=foreign)
    # The deployer's own policies, and another user's keys.
    assert is_refused(iam.put_user_policy, UserName="deployer", **put)
    assert is_refused(iam.create_access_key, UserName="deployer")


def test_a_deployer_reads_and_changes_secrets_of_its_instance_alone(account: Account) -> None:
    secrets, admin = account.deployer("secretsmanager"), account.admin("secretsmanager")
    arn = secrets.create_secret(Name=f"opstrace/{INSTANCE}/keys", SecretString="{}", Tags=TAGS)["ARN"]
    secrets.get_secret_value(SecretId=arn)
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    admin.create_secret(Name=f"opstrace/{OTHER}/keys", SecretString="{}")
    assert is_refused(secrets.get_secret_value, SecretId=f"opstrace/{OTHER}/keys")
    assert is_refused(secrets.create_secret, Name="another", SecretString="{}")
    admin.delete_secret(SecretId=f"opstrace/{OTHER}/keys", ForceDeleteWithoutRecovery=True)


def test_a_deployer_changes_the_key_of_its_secrets_and_needs_the_former_one_no_longer(account: Account) -> None:
    """With the policies of the new key alone: the stack file has the former one no longer."""
    kms, admin, name = account.admin("kms"), account.admin("iam"), f"opstrace/{INSTANCE}/keys"
    former, new, foreign = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(3))
    allowed = [right.plain() for right in keys(replace(account.scope, secrets_key=former))]
    put = {"UserName": USER, "PolicyName": "keys"}
    admin.put_user_policy(**put, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed}))
    secrets, direct = account.deployer("secretsmanager"), account.deployer("kms")
    arn = secrets.create_secret(Name=name, KmsKeyId=former, SecretString="{}", Tags=TAGS)["ARN"]
    assert is_refused(secrets.update_secret, SecretId=arn, KmsKeyId=new)
    allowed = [right.plain() for right in keys(replace(account.scope, secrets_key=new))]
    admin.put_user_policy(**put, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed}))
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "{}"
    secrets.update_secret(SecretId=arn, KmsKeyId=new)
    kms.disable_key(KeyId=former)
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "{}"
    # The keys open nothing else.
    for key in (new, foreign):
        assert is_refused(direct.generate_data_key, KeyId=key, KeySpec="AES_256")
    other = account.admin("secretsmanager").create_secret(Name="other", KmsKeyId=foreign, SecretString="x")["ARN"]
    assert is_refused(secrets.get_secret_value, SecretId=other)
    direct.describe_key(KeyId=new)
    assert is_refused(direct.describe_key, KeyId=foreign)
    for secret in (arn, other):
        account.admin("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    admin.delete_user_policy(**put)


def test_a_deployer_changes_records_of_its_names_alone(account: Account) -> None:
    zones, admin = account.deployer("route53"), account.admin("route53")
    parent = admin.create_hosted_zone(Name="example.com", CallerReference="parent")["HostedZone"]["Id"]

    def change(*names: str) -> dict[str, Any]:
        records = [{"Name": name, "Type": "A", "TTL": 30, "ResourceRecords": [{"Value": "1.2.3.4"}]} for name in names]
        changes = [{"Action": "UPSERT", "ResourceRecordSet": record} for record in records]
        return {"HostedZoneId": parent, "ChangeBatch": {"Changes": changes}}

    for name in (ZONE, f"{ZONE}.", f"*.{ZONE}", f"\\052.team.{ZONE}", ZONE.upper()):
        assert not is_refused(zones.change_resource_record_sets, **change(name)), name
    for names in (["example.com"], [f"x{ZONE}"], [f"{ZONE}.evil.com"], [ZONE, "www.example.com"]):
        assert is_refused(zones.change_resource_record_sets, **change(*names)), names
    for record in admin.list_resource_record_sets(HostedZoneId=parent)["ResourceRecordSets"]:
        if record["Type"] == "A":
            delete = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
            admin.change_resource_record_sets(HostedZoneId=parent, ChangeBatch=delete)
    admin.delete_hosted_zone(Id=parent)


def test_a_deployer_requests_certificates_for_its_names_alone(account: Account) -> None:
    acm, admin = account.deployer("acm"), account.admin("acm")
    made = {"ValidationMethod": "DNS", "Tags": TAGS}
    arn = acm.request_certificate(DomainName=ZONE, SubjectAlternativeNames=[f"*.{ZONE}"], **made)["CertificateArn"]
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "team", "Value": "a"}])
    acm.delete_certificate(CertificateArn=arn)
    assert is_refused(acm.request_certificate, DomainName=ZONE, ValidationMethod="DNS")
    assert is_refused(acm.request_certificate, DomainName="example.com", **made)
    assert is_refused(acm.request_certificate, DomainName=ZONE, SubjectAlternativeNames=["www.example.com"], **made)
    foreign = admin.request_certificate(DomainName=ZONE, ValidationMethod="DNS")["CertificateArn"]
    assert is_refused(acm.delete_certificate, CertificateArn=foreign)
    admin.delete_certificate(CertificateArn=foreign)


def test_a_deployer_changes_its_security_group_and_the_ingress_of_the_nodes(account: Account) -> None:
    ec2, admin = account.deployer("ec2"), account.admin("ec2")
    made = {"Description": "x", "VpcId": account.vpc}
    tagged = {"TagSpecifications": [{"ResourceType": "security-group", "Tags": TAGS}]}
    rule = {
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "1.2.3.4/32"}]}]
    }
    own = ec2.create_security_group(GroupName="own", **made, **tagged)["GroupId"]
    ec2.authorize_security_group_egress(GroupId=own, **rule)
    ec2.authorize_security_group_ingress(GroupId=account.nodes, **rule)
    ec2.revoke_security_group_ingress(GroupId=account.nodes, **rule)
    ec2.create_tags(Resources=[own], Tags=[{"Key": "team", "Value": "a"}])
    assert is_refused(ec2.authorize_security_group_egress, GroupId=account.nodes, **rule)
    assert is_refused(ec2.create_tags, Resources=[account.nodes], Tags=TAGS)
    assert is_refused(ec2.create_security_group, GroupName="untagged", **made)
    elsewhere = admin.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    assert is_refused(ec2.create_security_group, GroupName="o", Description="x", VpcId=elsewhere, **tagged)
    foreign = admin.create_security_group(GroupName="foreign", **made)["GroupId"]
    assert is_refused(ec2.authorize_security_group_ingress, GroupId=foreign, **rule)
    assert is_refused(ec2.delete_security_group, GroupId=foreign)
    assert is_refused(ec2.terminate_instances, InstanceIds=["i-0123456789abcdef0"])
    ec2.delete_security_group(GroupId=own)
    admin.delete_security_group(GroupId=foreign)
    admin.delete_vpc(VpcId=elsewhere)


def test_a_deployer_changes_its_load_balancer_and_attaches_its_targets_alone(account: Account) -> None:
    balancers, admin = account.deployer("elbv2"), account.admin("elbv2")
    scaling = account.deployer("autoscaling")
    targets = {"Protocol": "TCP", "Port": 30443, "VpcId": account.vpc}
    mine = balancers.create_target_group(Name=f"{INSTANCE}-30443", **targets, Tags=TAGS)["TargetGroups"][0]
    foreign = admin.create_target_group(Name="foreign", **targets)["TargetGroups"][0]["TargetGroupArn"]
    attach, group = scaling.attach_load_balancer_target_groups, {"AutoScalingGroupName": account.group}
    attach(TargetGroupARNs=[mine["TargetGroupArn"]], **group)
    assert is_refused(attach, TargetGroupARNs=[foreign], **group)
    assert is_refused(attach, TargetGroupARNs=[mine["TargetGroupArn"], foreign], **group)
    scaling.detach_load_balancer_target_groups(TargetGroupARNs=[mine["TargetGroupArn"]], **group)
    assert is_refused(scaling.delete_auto_scaling_group, **group)
    assert is_refused(balancers.delete_target_group, TargetGroupArn=foreign)
    balancers.delete_target_group(TargetGroupArn=mine["TargetGroupArn"])
    admin.delete_target_group(TargetGroupArn=foreign)
    made = {"Name": f"opstrace-{INSTANCE}", "Subnets": account.subnets[:1], "Tags": TAGS}
    assert is_refused(balancers.create_load_balancer, Type="application", **made)
    own = balancers.create_load_balancer(Type="network", **made)["LoadBalancers"][0]["LoadBalancerArn"]
    assert f":loadbalancer/net/opstrace-{INSTANCE}/" in own
    balancers.delete_load_balancer(LoadBalancerArn=own)
    assert is_refused(balancers.create_load_balancer, Type="network", **made | {"Name": f"opstrace-{OTHER}"})


def test_a_deployer_reads_its_cluster_alone(account: Account) -> None:
    eks, answer = account.deployer("eks"), (404, "ResourceNotFoundException")
    assert refusal(eks.describe_cluster, name="cluster") == answer
    assert refusal(eks.describe_nodegroup, clusterName="cluster", nodegroupName="workers") == answer
    assert is_refused(eks.describe_cluster, name="another")
    assert is_refused(eks.describe_nodegroup, clusterName="another", nodegroupName="workers")
    assert is_refused(eks.delete_nodegroup, clusterName="cluster", nodegroupName="workers")
