"""The IAM roles that a tenant's pods assume by web identity."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.core.names import account_of, namespace
from components.shared.options import child
from components.shared.pods import TOKEN_AUDIENCE


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """The issuer of the cluster's service account tokens: its OIDC provider in IAM, and its URL."""

    provider_arn: str
    url: str

    @property
    def account(self) -> str:
        """The AWS account of the provider, which is also the account of every role that trusts it."""
        return account_of(self.provider_arn)


@dataclass(frozen=True, kw_only=True)
class RoleRules:
    """What the account wants of roles: their path, and the ARN of the policy that bounds them; None for IAM's defaults."""

    path: str | None = None
    permissions_boundary: str | None = None


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """A role and the service account that may assume it.

    Attributes:
        role: the name of the role.
        policy: what the role allows, as JSON.
        rules: what the account wants of the role.
    """

    role: str
    tenant: str
    service_account: str
    issuer: Issuer
    policy: pulumi.Output[str]
    rules: RoleRules
    tags: Mapping[str, str]


def bucket_policy(
    account: str, *statements: tuple[str | list[str], str | list[str]], keys: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return the IAM policy that allows actions on resources of S3, as JSON, in buckets of the account alone.

    Every account may take the name of a deleted bucket. The condition keeps the role from writing to such a bucket. `keys` are
    further statements, about the keys of the buckets: these may belong to another account.
    """
    allowed = [
        {
            "Effect": "Allow",
            "Action": actions,
            "Resource": resources,
            "Condition": {"StringEquals": {"aws:ResourceAccount": account}},
        }
        for actions, resources in statements
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": [*allowed, *keys]})


def trust_policy(tenant: str, service_account: str, issuer: Issuer) -> str:
    """Return the policy that lets one service account of the tenant assume a role, and nobody else, as JSON."""
    host = issuer.url.removeprefix("https://")
    claims = {
        f"{host}:aud": TOKEN_AUDIENCE,
        f"{host}:sub": f"system:serviceaccount:{namespace(tenant)}:{service_account}",
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": issuer.provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": claims},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def declare_role(name: str, args: IdentityArgs, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Declare a role with its one policy; return the role's ARN, which is known once the policy exists."""
    role = aws.iam.Role(
        f"{name}-role",
        name=args.role,
        assume_role_policy=trust_policy(args.tenant, args.service_account, args.issuer),
        path=args.rules.path,
        permissions_boundary=args.rules.permissions_boundary,
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
