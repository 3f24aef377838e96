"""The embedded AWS holds users to the keys of KMS that encrypt secrets, and to those of objects, as AWS does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID

from localcloud.settings import REGION
from tests.support.aws_requests import OWN
from tests.support.aws_users import is_refused, make_user, remove_user
from tests.support.embedded_aws import EmbeddedAws, refusal

NAME, USER = "keyed", "keyed"
ARN = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/{USER}"
DENIED = (403, "AccessDeniedException")


class Account:
    """A user that may call Secrets Manager and S3, and keys of which it may use those in `allow`."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws, self.kms, self.iam = aws, aws.client("kms"), aws.client("iam")
        services = {"Effect": "Allow", "Action": ["secretsmanager:*", "s3:*"], "Resource": "*"}
        key = make_user(self.iam, {"services": {"Version": "2012-10-17", "Statement": [services]}}, USER)
        self.secrets, self.s3 = aws.client("secretsmanager", **key), aws.client("s3", **key)
        self.admin = aws.client("secretsmanager")

    def make_key(self, **options: Any) -> str:
        """Create a key; return its ARN."""
        return str(self.kms.create_key(**options)["KeyMetadata"]["Arn"])

    def allow(self, *keys: str, actions: tuple[str, ...] = ("Decrypt", "Encrypt", "GenerateDataKey")) -> None:
        """Let the user perform actions on these keys alone."""
        named = [f"kms:{action}" for action in actions]
        statement = {"Effect": "Allow", "Action": named, "Resource": [*keys]}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.put_user_policy(UserName=USER, PolicyName="keys", PolicyDocument=document)

    def close(self) -> None:
        for secret in self.admin.list_secrets()["SecretList"]:
            self.admin.delete_secret(SecretId=secret["ARN"], ForceDeleteWithoutRecovery=True)
        for name in self.iam.list_user_policies(UserName=USER)["PolicyNames"]:
            self.iam.delete_user_policy(UserName=USER, PolicyName=name)
        remove_user(self.iam, USER)


@pytest.fixture
def account(aws: EmbeddedAws) -> Iterator[Account]:
    made = Account(aws)
    yield made
    made.close()


def test_a_user_stores_and_reads_a_secret_with_rights_on_its_key_alone(account: Account) -> None:
    key = account.make_key()
    secrets, made = account.secrets, {"Name": NAME, "KmsKeyId": key, "SecretString": "x"}
    assert refusal(secrets.create_secret, **made) == DENIED
    account.allow(key, actions=("GenerateDataKey",))
    assert refusal(secrets.create_secret, **made) == DENIED
    account.allow(key, actions=("GenerateDataKey", "Decrypt"))
    arn = secrets.create_secret(**made)["ARN"]
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "x"
    account.allow(account.make_key())
    assert refusal(secrets.get_secret_value, SecretId=arn) == DENIED
    assert refusal(secrets.put_secret_value, SecretId=arn, SecretString="y") == DENIED
    assert account.admin.get_secret_value(SecretId=arn)["SecretString"] == "x"
    assert refusal(secrets.update_secret, SecretId=arn, Description="needs no key") is None
    assert refusal(secrets.create_secret, Name="aws", SecretString="x") is None  # by AWS's own key
    assert refusal(secrets.get_secret_value, SecretId="aws") is None


def test_a_changed_key_encrypts_values_again_if_the_user_may_use_both(account: Account) -> None:
    former, new, last = account.make_key(), account.make_key(), account.make_key()
    arn = account.admin.create_secret(Name=NAME, KmsKeyId=former, SecretString="x")["ARN"]
    account.allow(new)
    assert refusal(account.secrets.update_secret, SecretId=arn, KmsKeyId=new) is None
    assert account.admin.describe_secret(SecretId=arn)["KmsKeyId"] == new
    assert refusal(account.secrets.get_secret_value, SecretId=arn) == DENIED  # still under the former key
    account.allow(former, last)
    account.secrets.update_secret(SecretId=arn, KmsKeyId=last)
    account.kms.disable_key(KeyId=former)
    assert account.secrets.get_secret_value(SecretId=arn)["SecretString"] == "x"
    account.kms.disable_key(KeyId=last)
    assert refusal(account.admin.get_secret_value, SecretId=arn) == (400, "DecryptionFailure")


@pytest.mark.parametrize(("named", "allowed", "may"), [(ARN, False, True), ("root", True, True), ("root", False, False), (None, True, False)])  # fmt: skip
def test_the_policy_of_a_key_decides_with_the_user(
    account: Account, named: str | None, allowed: bool, may: bool
) -> None:
    principal = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:root" if named == "root" else named
    allow = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [allow] if named else []}
    key = account.make_key(Policy=json.dumps(policy))
    if allowed:
        account.allow(key, actions=("Decrypt", "GenerateDataKey", "DescribeKey"))
    made = {"Name": NAME, "KmsKeyId": key, "SecretString": "x"}
    assert is_refused(account.secrets.create_secret, **made) == (not may)
    stored = {"Bucket": OWN, "Key": "keyed", "Body": b"x", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    assert is_refused(account.s3.put_object, **stored) == (not may)


def test_a_user_uses_a_key_through_the_service_that_its_policy_names(account: Account) -> None:
    key = account.make_key()
    statement = {"Effect": "Allow", "Action": "kms:*", "Resource": key}
    for service, may in (("s3", False), ("secretsmanager", True)):
        limit = {"StringEquals": {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement | {"Condition": limit}]})
        account.iam.put_user_policy(UserName=USER, PolicyName="keys", PolicyDocument=document)
        made = {"Name": NAME, "KmsKeyId": key, "SecretString": "x"}
        assert is_refused(account.secrets.create_secret, **made) == (not may)
