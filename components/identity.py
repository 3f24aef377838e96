"""The IAM roles that a tenant's pods take by web identity."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.names import namespace
from components.options import child
from components.workload import TOKEN_AUDIENCE


@dataclass(frozen=True)
class Issuer:
    """Who says that a token is a service account's of the cluster: the OIDC provider in IAM, and its URL."""

    provider_arn: str
    url: str


@dataclass(frozen=True)
class IdentityArgs:
    """`role` is the role's name, `policy` what it may do, as JSON."""

    role: str
    tenant: str
    service_account: str
    issuer: Issuer
    policy: pulumi.Output[str]
    tags: Mapping[str, str]


def trust_policy(tenant: str, service_account: str, issuer: Issuer) -> str:
    """Return the policy that gives a role to a service account of the tenant and to nobody else, as JSON."""
    host = issuer.url.removeprefix("https://")
    wanted = {
        f"{host}:aud": TOKEN_AUDIENCE,
        f"{host}:sub": f"system:serviceaccount:{namespace(tenant)}:{service_account}",
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": issuer.provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": wanted},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def declare_role(name: str, args: IdentityArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Declare the role with its one policy; return its ARN once the policy is in force."""
    role = aws.iam.Role(
        f"{name}-role",
        name=args.role,
        assume_role_policy=trust_policy(args.tenant, args.service_account, args.issuer),
        tags=dict(args.tags),
        opts=child(parent),
    )
    policy = aws.iam.RolePolicy(
        f"{name}-role-policy",
        role=role.name,
        name="buckets",
        policy=args.policy,
        opts=child(parent),
    )
    return pulumi.Output.all(role.arn, policy.id).apply(lambda pair: pair[0])
