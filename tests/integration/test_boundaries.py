"""The embedded AWS holds users and roles to their permissions boundaries."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID

from components.tenant.iam_role import Issuer, trust_policy
from tests.support.aws_requests import OWN, TENANT, account_of
from tests.support.aws_users import is_refused, make_user, remove_user
from tests.support.embedded_aws import ISSUER, EmbeddedAws, refusal

NAME, BOUNDARY = "bounded", "bounding"
ARN = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:policy/{BOUNDARY}"
OBJECT = {"Bucket": OWN, "Key": "bounded"}


def policy(*statements: tuple[str, str]) -> dict[str, Any]:
    """Return a policy that allows or denies actions on everything."""
    rules = [{"Effect": effect, "Action": action, "Resource": "*"} for effect, action in statements]
    return {"Version": "2012-10-17", "Statement": rules}


EVERYTHING = policy(("Allow", "*"))


@pytest.fixture
def boundary(aws: EmbeddedAws) -> Iterator[str]:
    """Return a boundary: reads of S3 and IAM, but not of the policies of roles."""
    content = policy(("Allow", "s3:GetObject"), ("Allow", "iam:Get*"), ("Deny", "iam:GetRolePolicy"))
    iam = aws.client("iam")
    yield iam.create_policy(PolicyName=BOUNDARY, PolicyDocument=json.dumps(content))["Policy"]["Arn"]
    if refusal(iam.get_policy, PolicyArn=ARN) is None:
        iam.delete_policy(PolicyArn=ARN)


@pytest.fixture
def user(aws: EmbeddedAws, boundary: str) -> Iterator[Any]:
    """Return what makes a client of a user with every right, whose boundary is `boundary`."""
    key = make_user(aws.client("iam"), {"everything": EVERYTHING}, NAME)
    aws.client("iam").put_user_permissions_boundary(UserName=NAME, PermissionsBoundary=boundary)
    yield lambda service: aws.client(service, **key)
    remove_user(aws.client("iam"), NAME)


def test_a_user_does_what_its_boundary_permits_and_nothing_else(aws: EmbeddedAws, user: Any) -> None:
    iam, s3 = user("iam"), user("s3")
    made = iam.get_user(UserName=NAME)["User"]["PermissionsBoundary"]
    assert made["PermissionsBoundaryArn"] == ARN
    aws.client("s3").put_object(**OBJECT, Body=b"x")
    assert s3.get_object(**OBJECT)["Body"].read() == b"x"
    assert refusal(s3.put_object, **OBJECT, Body=b"y") == (403, "AccessDenied")
    assert is_refused(iam.list_users) and is_refused(user("secretsmanager").list_secrets)
    assert is_refused(iam.get_role_policy, RoleName="x", PolicyName="x")
    assert refusal(user("sts").get_caller_identity) is None
    aws.client("iam").delete_user_permissions_boundary(UserName=NAME)
    assert refusal(s3.put_object, **OBJECT, Body=b"y") is None and not is_refused(iam.list_users)
    assert "PermissionsBoundary" not in iam.get_user(UserName=NAME)["User"]


def test_a_boundary_that_was_deleted_permits_nothing(aws: EmbeddedAws, user: Any) -> None:
    aws.client("iam").delete_policy(PolicyArn=ARN)
    assert is_refused(user("iam").get_user, UserName=NAME)
    assert is_refused(user("s3").get_object, **OBJECT)


def test_a_boundary_must_exist(aws: EmbeddedAws) -> None:
    iam, missing = aws.client("iam"), {"UserName": "unbounded", "PermissionsBoundary": ARN}
    assert refusal(iam.create_user, **missing) == (404, "NoSuchEntity")
    assert refusal(iam.get_user, UserName="unbounded") == (404, "NoSuchEntity")
    iam.create_user(UserName="unbounded")
    assert refusal(iam.put_user_permissions_boundary, **missing) == (404, "NoSuchEntity")
    iam.delete_user(UserName="unbounded")


def test_a_role_s_session_is_held_to_the_role_s_boundary(aws: EmbeddedAws, boundary: str) -> None:
    iam = aws.client("iam")
    provider = json.loads((aws.settings.node / "account.json").read_text())["oidc_provider_arn"]
    trust = trust_policy(TENANT, "tenant", Issuer(provider_arn=provider, url=ISSUER))
    iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=trust, PermissionsBoundary=boundary)
    iam.put_role_policy(RoleName=NAME, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    s3 = aws.client("s3", **aws.session(NAME, aws.token(account_of(TENANT, "tenant"))))
    aws.client("s3").put_object(**OBJECT, Body=b"x")
    assert refusal(s3.get_object, **OBJECT) is None
    assert refusal(s3.put_object, **OBJECT, Body=b"y") == (403, "AccessDenied")
    iam.delete_role_permissions_boundary(RoleName=NAME)
    assert refusal(s3.put_object, **OBJECT, Body=b"y") is None
    iam.delete_role_policy(RoleName=NAME, PolicyName="all")
    iam.delete_role(RoleName=NAME)
