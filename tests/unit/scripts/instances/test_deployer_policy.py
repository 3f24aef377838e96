"""The deployer's policies contain what is called in AWS, and nothing else."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

import botocore.session
import pytest
from botocore import xform_name
from moto.iam.access_control import PermissionResult

from components.config.platform.kms_keys import KmsKeys
from components.core import resource_names as names
from components.core.errors import UserError
from components.tenant.back_ends.alertmanager import alerts_policy
from components.tenant.buckets import read_write_policy
from components.tenant.encryption import ObjectKeys
from localcloud.moto.authorization.policies import evaluate
from localcloud.plugins.aws.resource_types import TYPES
from reference.deployer_policy import FULL, STATE, TEMPLATE
from scripts.checks.subject import PREFIXES
from scripts.instances.deployer.policy import DEPLOYER, LONGEST, PARTS, Part, State, document, rights
from scripts.instances.deployer.rights import Scope
from tests.support.factories import kms_key
from tests.support.shell import ROOT

# What the official plugin calls for a resource type: to create, read, change and delete it, with its tags. Source:
# internal/service of hashicorp/terraform-provider-aws version 6, which pulumi-aws 7 wraps. Tags of new buckets and of
# bucket settings: its pull request 45251.
ELB = "elasticloadbalancing"
OFFICIAL: dict[str, dict[str, str]] = {
    names.ATTACHMENT_TYPE: {
        "autoscaling": "AttachLoadBalancerTargetGroups DescribeAutoScalingGroups DetachLoadBalancerTargetGroups"
    },
    names.BUCKET_TYPE: {
        "s3": "CreateBucket DeleteBucket DeleteObject DeleteObjectVersion GetAccelerateConfiguration GetBucketAcl GetBucketCORS "
        "GetBucketLogging GetBucketObjectLockConfiguration GetBucketPolicy GetBucketRequestPayment GetBucketTagging "
        "GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration GetLifecycleConfiguration GetReplicationConfiguration "
        "ListBucket ListBucketVersions ListTagsForResource PutBucketTagging TagResource UntagResource"
    },
    names.BUCKET_POLICY_TYPE: {"s3": "DeleteBucketPolicy GetBucketPolicy PutBucketPolicy"},
    names.ENCRYPTION_TYPE: {"s3": "GetEncryptionConfiguration PutEncryptionConfiguration"},
    names.PUBLIC_ACCESS_BLOCK_TYPE: {"s3": "GetBucketPublicAccessBlock PutBucketPublicAccessBlock"},
    names.LIFECYCLE_TYPE: {"s3": "GetLifecycleConfiguration PutLifecycleConfiguration"},
    names.CERTIFICATE_TYPE: {
        "acm": "AddTagsToCertificate DeleteCertificate DescribeCertificate ListTagsForCertificate RemoveTagsFromCertificate "
        "RequestCertificate"
    },
    names.CERTIFICATE_VALIDATION_TYPE: {"acm": "DescribeCertificate"},
    names.SECURITY_GROUP_TYPE: {
        "ec2": "CreateSecurityGroup CreateTags DeleteSecurityGroup DeleteTags DescribeNetworkInterfaces DescribeSecurityGroups "
        "RevokeSecurityGroupEgress RevokeSecurityGroupIngress"
    },
    names.INGRESS_RULE_TYPE: {
        "ec2": "AuthorizeSecurityGroupIngress DescribeSecurityGroupRules ModifySecurityGroupRules RevokeSecurityGroupIngress"
    },
    names.EGRESS_RULE_TYPE: {
        "ec2": "AuthorizeSecurityGroupEgress DescribeSecurityGroupRules ModifySecurityGroupRules RevokeSecurityGroupEgress"
    },
    names.LOAD_BALANCER_TYPE: {
        ELB: "AddTags CreateLoadBalancer DeleteLoadBalancer DescribeCapacityReservation DescribeLoadBalancerAttributes "
        "DescribeLoadBalancers DescribeTags ModifyLoadBalancerAttributes RemoveTags SetIpAddressType SetSecurityGroups SetSubnets",
        # ELB looks at these as the caller, and creates its role (AWS Load Balancer Controller, iam_policy.json).
        "ec2": "DescribeAccountAttributes DescribeAvailabilityZones DescribeInternetGateways DescribeNetworkInterfaces "
        "DescribeSecurityGroups DescribeSubnets DescribeVpcs GetSecurityGroupsForVpc",
        "iam": "CreateServiceLinkedRole",
    },
    names.TARGET_GROUP_TYPE: {
        ELB: "AddTags CreateTargetGroup DeleteTargetGroup DescribeTags DescribeTargetGroupAttributes DescribeTargetGroups "
        "ModifyTargetGroup ModifyTargetGroupAttributes RemoveTags"
    },
    names.LISTENER_TYPE: {
        ELB: "AddTags CreateListener DeleteListener DescribeListenerAttributes DescribeListeners DescribeTags ModifyListener "
        "ModifyListenerAttributes RemoveTags"
    },
    names.LISTENER_CERTIFICATE_TYPE: {
        ELB: "AddListenerCertificates DescribeListenerCertificates RemoveListenerCertificates"
    },
    names.ROLE_TYPE: {
        "iam": "CreateRole DeleteRole DeleteRolePermissionsBoundary GetRole GetRolePolicy ListAttachedRolePolicies "
        "ListInstanceProfilesForRole ListRolePolicies PutRolePermissionsBoundary TagRole UntagRole UpdateAssumeRolePolicy "
        "UpdateRole UpdateRoleDescription"
    },
    names.ROLE_POLICY_TYPE: {"iam": "DeleteRolePolicy GetRolePolicy PutRolePolicy"},
    names.ZONE_TYPE: {
        "route53": "ChangeTagsForResource CreateHostedZone DeleteHostedZone GetChange GetHostedZone ListResourceRecordSets "
        "ListTagsForResource UpdateHostedZoneComment"
    },
    names.RECORD_TYPE: {"route53": "ChangeResourceRecordSets GetChange GetHostedZone ListResourceRecordSets"},
    names.SECRET_TYPE: {
        "secretsmanager": "CreateSecret DeleteSecret DescribeSecret GetResourcePolicy TagResource UntagResource UpdateSecret",
        # Secrets Manager uses the key as the caller (its user guide, 'Permissions for the KMS key').
        "kms": "Decrypt Encrypt GenerateDataKey",
    },
    names.SECRET_VERSION_TYPE: {
        "secretsmanager": "DescribeSecret GetSecretValue ListSecretVersionIds PutSecretValue UpdateSecretVersionStage"
    },
    names.GET_NODE_GROUP: {"eks": "DescribeNodegroup"},
}
BESIDE = {"eks:DescribeCluster"}  # `aws eks update-kubeconfig`
# Operations of S3 to actions (Amazon S3 user guide, 'Required permissions for Amazon S3 API operations').
S3 = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CreateBucket": "CreateBucket",
    "DeleteBucket": "DeleteBucket",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketPolicy": "DeleteBucketPolicy",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketPolicy": "GetBucketPolicy",
    "GetBucketTagging": "GetBucketTagging",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutBucketPolicy": "PutBucketPolicy",
    "PutBucketTagging": "PutBucketTagging",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
SERVICES = (
    *("acm", "autoscaling", "ec2", "eks", "elbv2", "iam", "kms", "route53", "s3", "secretsmanager", "service-quotas"),
    "sts",
)
# The first needs no right. The second is an operation of load balancing, in a module that also calls EC2.
WITHOUT_RIGHT = {"sts:GetCallerIdentity", "ec2:DescribeTags"}
UNBOUND = replace(FULL, permissions_boundary=None)
CALLING = [
    file
    for folder in ("scripts", "localcloud/plugins/aws")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if file.parent.name != "deployer"
]


@cache
def operations(service: str) -> dict[str, str]:
    """Return the operations of a service by boto3's name of their methods."""
    found = botocore.session.get_session().get_service_model(service).operation_names
    return {xform_name(operation): operation for operation in found}


def action_of(service: str, operation: str) -> str:
    return f"s3:{S3[operation]}" if service == "s3" else f"{PREFIXES.get(service, service)}:{operation}"


def called(source: str) -> set[tuple[str, str]]:
    """Return the operations, with their service, that a module names beside the service itself."""
    nodes = [*ast.walk(ast.parse(source))]
    words = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    words |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    if "bucket_not_exists" in words:  # a waiter
        words.add("head_bucket")
    named = [service for service in SERVICES if service in words]
    return {(service, operations(service)[word]) for service in named for word in words & {*operations(service)}}


def of_code() -> set[str]:
    found = {entry for file in CALLING for entry in called(file.read_text())}
    return {action_of(service, operation) for service, operation in found} - WITHOUT_RIGHT


def of_types() -> set[str]:
    return {f"{service}:{name}" for by in OFFICIAL.values() for service, text in by.items() for name in text.split()}


def permitted(scope: Scope, parts: Iterable[Part] = DEPLOYER) -> set[str]:
    return {action for part in parts for right in rights(part, scope) for action in right.actions}


def test_operations_are_found_in_code() -> None:
    source = 'def f(aws):\n for page in aws["s3"].get_paginator("list_buckets").paginate(): aws["iam"].get_role()'
    assert called(source) == {("s3", "ListBuckets"), ("iam", "GetRole")}
    assert len(of_code()) > 60


def test_each_declared_type_of_aws_has_its_actions() -> None:
    declared = (ROOT / "tests" / "unit" / "components" / "declarations.json").read_text()
    types = {
        urn.split("::")[2].rpartition("$")[2] for name in ("instance", "tenant") for urn in json.loads(declared)[name]
    }
    of_aws = {name for name in types if name.startswith("aws:")}
    assert of_aws and of_aws <= {*OFFICIAL} and {*TYPES} <= {*OFFICIAL}
    assert of_types() - permitted(UNBOUND) == set()


def test_whatever_commands_and_stand_in_plugins_call_is_permitted() -> None:
    assert of_code() - permitted(UNBOUND) == set()


def test_nothing_else_is_permitted() -> None:
    assert permitted(UNBOUND) - of_types() - of_code() - BESIDE == set()
    assert permitted(UNBOUND) - permitted(FULL) == {"iam:DeleteRolePermissionsBoundary"}
    assert permitted(FULL) <= permitted(UNBOUND)


def test_each_action_exists_under_this_name() -> None:
    services = {prefix: service for service, prefix in PREFIXES.items()}
    actions = {action for part in PARTS for right in rights(part, FULL, STATE) for action in right.actions}
    for action in actions:
        service, name = action.split(":")
        if service != "s3":
            assert name in operations(services.get(service, service)).values(), action


def test_a_write_is_limited_to_resources_or_by_a_condition() -> None:
    reads = re.compile(r":(Describe|Get|List)")
    unlimited = {
        action
        for part in DEPLOYER
        for right in rights(part, TEMPLATE)
        if right.resources == ("*",) and not right.condition
        for action in right.actions
        if not reads.search(action)
    }
    assert unlimited == {"route53:CreateHostedZone"}


def test_iam_accepts_the_policies_with_the_longest_names() -> None:
    name = "o" * 23
    scope = Scope(
        instance=name,
        domain=f"{name}.{'d' * 30}.example",
        account="111122223333",
        region="ap-southeast-2",
        vpc_id="vpc-0123456789abcdef0",
        node_security_group_id="sg-0123456789abcdef0",
        oidc_provider_arn=f"arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-southeast-2.amazonaws.com/id/{'E' * 32}",
        eks_name="c" * 100,
        role_path=f"/{'p' * 126}/",
        permissions_boundary=f"arn:aws:iam::111122223333:policy/{'b' * 128}",
    )
    many = [f"arn:aws:kms:ap-southeast-2:111122223333:key/{number:036}" for number in range(60)]
    keyed = replace(scope, bucket_keys=tuple(many[:3]), secrets_key=many[3])
    for part in PARTS:
        policy = document(rights(part, keyed, State("b" * 63, many[4])))
        sids = [statement["Sid"] for statement in policy["Statement"]]
        assert len({*sids}) == len(sids) and all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)
    with pytest.raises(UserError, match=rf"the policy has \d+ characters, but a managed policy has at most {LONGEST}"):
        document(rights("data", replace(scope, bucket_keys=tuple(many))))


def statements(policy: str) -> Iterator[tuple[str, str]]:
    """Yield each action with each resource of a policy in JSON."""
    for statement in json.loads(policy)["Statement"]:
        parts = [statement[name] for name in ("Action", "Resource")]
        actions, resources = ([part] if isinstance(part, str) else part for part in parts)
        yield from ((action, resource) for action in actions for resource in resources)


def test_the_boundary_permits_what_the_roles_of_tenants_permit() -> None:
    key = kms_key(1)
    boundary = [right.plain() for right in rights("boundary", replace(TEMPLATE, bucket_keys=(key,)))]
    keys = ObjectKeys(keys=KmsKeys(buckets=key), region="us-west-2")
    needed = [
        *statements(read_write_policy(["INSTANCE-team-metrics-1"], "ACCOUNT", keys)),
        *statements(alerts_policy("team", "INSTANCE-team-config-1", "ACCOUNT", keys)),
    ]
    assert ("kms:GenerateDataKey", key) in needed

    def is_within(action: str, resource: str, account: str = "ACCOUNT") -> bool:
        values = {"aws:ResourceAccount": account}
        return PermissionResult.PERMITTED in [evaluate(each, action, resource, None, values) for each in boundary]

    assert needed and all(is_within(action, resource) for action, resource in needed)
    assert not is_within("kms:Decrypt", kms_key(2)) and not is_within("kms:Encrypt", key)
    assert not is_within("s3:GetObject", "arn:aws:s3:::OTHER-team-metrics-1/x")
    assert not is_within("s3:GetObject", "arn:aws:s3:::INSTANCE-team-metrics-1/x", "ANOTHER")
    assert not is_within("s3:PutBucketPolicy", "arn:aws:s3:::INSTANCE-team-metrics-1")
