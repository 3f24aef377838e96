"""The IAM role that a tenant's pods take by web identity."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.buckets import read_write_policy
from components.names import namespace, role_name
from components.options import child
from components.workload import TOKEN_AUDIENCE

SERVICE_ACCOUNT = "tenant"


@dataclass(frozen=True)
class IdentityArgs:
    """`buckets` are the physical names of what the role may read and write."""

    instance: str
    tenant: str
    oidc_provider_arn: str
    oidc_issuer: str
    buckets: list[pulumi.Output[str]]
    tags: Mapping[str, str]


def trust_policy(tenant: str, provider_arn: str, issuer: str) -> str:
    """Return the policy that gives the role to the tenant's service account and to nobody else, as JSON."""
    host = issuer.removeprefix("https://")
    wanted = {
        f"{host}:aud": TOKEN_AUDIENCE,
        f"{host}:sub": f"system:serviceaccount:{namespace(tenant)}:{SERVICE_ACCOUNT}",
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": wanted},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def declare_role(name: str, args: IdentityArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Declare the role with its one policy; return its ARN once the policy is in force."""
    role = aws.iam.Role(
        f"{name}-role",
        name=role_name(args.instance, args.tenant),
        assume_role_policy=trust_policy(args.tenant, args.oidc_provider_arn, args.oidc_issuer),
        tags=dict(args.tags),
        opts=child(parent),
    )
    policy = aws.iam.RolePolicy(
        f"{name}-role-policy",
        role=role.name,
        name="buckets",
        policy=pulumi.Output.all(*args.buckets).apply(read_write_policy),
        opts=child(parent),
    )
    return pulumi.Output.all(role.arn, policy.id).apply(lambda pair: pair[0])
