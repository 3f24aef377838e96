"""The embedded AWS holds roles to the keys of KMS that encrypt their objects, as AWS does."""

import json
from dataclasses import replace
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID

from components.config.platform.kms_keys import KmsKeys
from components.tenant.back_ends.alertmanager import alerts_policy
from components.tenant.buckets import read_write_policy
from components.tenant.encryption import ObjectKeys
from components.tenant.iam_role import Issuer, trust_policy
from localcloud.settings import REGION
from reference.deployer_policy import TEMPLATE
from scripts.instances.deployer.policy import document, rights
from tests.support.aws_requests import TENANT, account_of
from tests.support.embedded_aws import ISSUER, EmbeddedAws, refusal

DENIED = (403, "AccessDenied")
METRICS, SETTINGS = "keyed-metrics-1", "keyed-config-1"
OBJECT = {"Bucket": METRICS, "Key": "a"}


class Account:
    """Two buckets, a key that encrypts them, and roles of a tenant."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws, self.kms, self.admin = aws, aws.client("kms"), aws.client("s3")
        self.key, self.other = self.make_key(), self.make_key()
        for bucket in (METRICS, SETTINGS):
            place = {"LocationConstraint": REGION}
            self.admin.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
            self.encrypt(bucket, self.key)

    def make_key(self, **options: Any) -> str:
        """Create a key; return its ARN."""
        return str(self.kms.create_key(**options)["KeyMetadata"]["Arn"])

    def encrypt(self, bucket: str, key: str | None, *, bucket_key: bool = True) -> None:
        """Set the default encryption of a bucket."""
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key} if key else {"SSEAlgorithm": "AES256"}
        rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key and key is not None}
        self.admin.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})

    def keys(self, **settings: Any) -> ObjectKeys:
        """Return the keys of objects with these settings."""
        return ObjectKeys(keys=KmsKeys.model_validate(settings), region=REGION)

    def role(self, name: str, policy: str, service_account: str = "tenant") -> Any:
        """Create a role with a policy, or give it the policy; return an S3 client with its session."""
        iam = self.aws.client("iam")
        provider = json.loads((self.aws.settings.node / "account.json").read_text())["oidc_provider_arn"]
        issuer = Issuer(provider_arn=provider, url=ISSUER)
        if refusal(iam.get_role, RoleName=name):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust_policy(TENANT, service_account, issuer))
        iam.put_role_policy(RoleName=name, PolicyName="buckets", PolicyDocument=policy)
        session = self.aws.session(name, self.aws.token(account_of(TENANT, service_account)))
        return self.aws.client("s3", **session)

    def tenant(self, name: str, **settings: Any) -> Any:
        """Return an S3 client with the role of a tenant's back ends."""
        buckets = [METRICS, SETTINGS]
        return self.role(name, read_write_policy(buckets, DEFAULT_ACCOUNT_ID, self.keys(**settings)))


@pytest.fixture(scope="module")
def account(aws: EmbeddedAws) -> Account:
    return Account(aws)


def write_and_read(s3: Any, name: str = "a") -> None:
    s3.put_object(Bucket=METRICS, Key=name, Body=b"x" * 9)
    assert s3.get_object(Bucket=METRICS, Key=name)["Body"].read() == b"x" * 9
    upload = s3.create_multipart_upload(Bucket=METRICS, Key="parts")["UploadId"]
    named = {"Bucket": METRICS, "Key": "parts", "UploadId": upload}
    part = s3.upload_part(**named, PartNumber=1, Body=b"y")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**named, MultipartUpload=parts)
    s3.copy_object(Bucket=SETTINGS, Key="copy", CopySource={"Bucket": METRICS, "Key": "parts"})
    assert s3.get_object(Bucket=SETTINGS, Key="copy")["Body"].read() == b"y"


def test_a_tenant_s_role_with_the_key_writes_and_reads_its_buckets(account: Account) -> None:
    s3 = account.tenant("keyed", buckets=account.key)
    write_and_read(s3)
    head = account.admin.head_object(**OBJECT)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["BucketKeyEnabled"]) == (
        "aws:kms",
        account.key,
        True,
    )


@pytest.mark.parametrize("settings", [{}, {"buckets": "other"}])
def test_a_role_without_the_key_neither_writes_nor_reads_but_lists_and_deletes(
    account: Account, settings: dict[str, str]
) -> None:
    account.admin.put_object(**OBJECT, Body=b"secret")
    s3 = account.tenant("keyless", **dict.fromkeys(settings, account.other))
    source = {"CopySource": OBJECT}
    assert [refusal(call, **OBJECT) for call in (s3.get_object, s3.create_multipart_upload)] == [DENIED, DENIED]
    assert refusal(s3.put_object, **OBJECT, Body=b"x") == DENIED
    assert refusal(s3.copy_object, Bucket=METRICS, Key="b", **source) == DENIED
    plain = {"ServerSideEncryption": "AES256"}
    assert refusal(s3.copy_object, Bucket=METRICS, Key="b", **source, **plain) == DENIED  # the source has the key
    assert refusal(s3.head_object, **OBJECT) is None  # needs no key, as on AWS
    assert account.admin.get_object(**OBJECT)["Body"].read() == b"secret"
    assert refusal(s3.list_objects_v2, Bucket=METRICS) is None
    assert refusal(s3.put_object, **OBJECT, Body=b"x", **plain) is None
    assert refusal(s3.delete_object, **OBJECT) is None


def test_a_role_uses_the_key_for_its_own_buckets_alone(account: Account) -> None:
    """All tenants share the key: with a bucket policy of a stranger, the key must not open that bucket."""
    policy = json.loads(read_write_policy([METRICS], DEFAULT_ACCOUNT_ID, account.keys(buckets=account.key)))
    policy["Statement"][0] |= {"Action": "s3:*", "Resource": "*"}
    s3 = account.role("curious", json.dumps(policy))
    account.admin.put_object(Bucket=SETTINGS, Key="a", Body=b"secret")
    assert refusal(s3.list_objects_v2, Bucket=SETTINGS) is None
    assert refusal(s3.get_object, Bucket=SETTINGS, Key="a") == DENIED
    assert refusal(s3.put_object, Bucket=SETTINGS, Key="a", Body=b"x") == DENIED
    write_and_read_alone = {"Bucket": METRICS, "Key": "own"}
    s3.put_object(**write_and_read_alone, Body=b"x")
    s3.get_object(**write_and_read_alone)


def test_objects_that_were_written_without_a_bucket_key_are_read_too(account: Account) -> None:
    account.encrypt(METRICS, account.key, bucket_key=False)
    s3 = account.tenant("keyed", buckets=account.key)
    write_and_read(s3, "unbound")
    assert not account.admin.head_object(Bucket=METRICS, Key="unbound").get("BucketKeyEnabled")
    account.encrypt(METRICS, account.key)
    assert refusal(s3.get_object, Bucket=METRICS, Key="unbound") is None


def test_after_a_change_of_keys_former_objects_are_read_where_the_key_is_a_former_one(account: Account) -> None:
    s3 = account.tenant("rotating", buckets=account.key)
    s3.put_object(Bucket=METRICS, Key="old", Body=b"old")
    begun = s3.create_multipart_upload(Bucket=METRICS, Key="begun")["UploadId"]
    s3 = account.tenant("rotating", buckets=account.other, former=[account.key])  # the role comes before the buckets
    write_and_read(s3)
    account.encrypt(METRICS, account.other)
    write_and_read(s3, "new")
    assert account.admin.head_object(Bucket=METRICS, Key="new")["SSEKMSKeyId"] == account.other
    assert s3.get_object(Bucket=METRICS, Key="old")["Body"].read() == b"old"
    assert refusal(s3.upload_part, Bucket=METRICS, Key="begun", UploadId=begun, PartNumber=1, Body=b"y") is None
    account.encrypt(METRICS, None)
    s3 = account.tenant("rotating", former=[account.other, account.key])
    s3.put_object(Bucket=METRICS, Key="plain", Body=b"x")
    for name in ("old", "new", "plain"):
        s3.get_object(Bucket=METRICS, Key=name)
    s3 = account.tenant("rotating")
    assert [refusal(s3.get_object, Bucket=METRICS, Key=name) for name in ("old", "new", "plain")] == [
        DENIED,
        DENIED,
        None,
    ]
    account.encrypt(METRICS, account.key)


def test_an_alertmanager_s_role_uses_the_key_for_its_own_objects(account: Account) -> None:
    keys = account.keys(buckets=account.key)
    policy = alerts_policy(TENANT, SETTINGS, DEFAULT_ACCOUNT_ID, keys)
    s3 = account.role("keyed-alerts", policy, "alertmanager")
    own = {"Bucket": SETTINGS, "Key": f"alerts/{TENANT}"}
    s3.put_object(**own, Body=b"x")
    assert s3.get_object(**own)["Body"].read() == b"x"
    account.admin.put_object(Bucket=SETTINGS, Key=f"rules/{TENANT}", Body=b"x")
    assert refusal(s3.get_object, Bucket=SETTINGS, Key=f"rules/{TENANT}") == DENIED
    assert refusal(s3.get_object, **OBJECT) == DENIED


@pytest.mark.parametrize("named", ["the key", "another key", "no key"])
def test_the_boundary_that_the_command_prints_decides_over_the_keys_of_a_role(account: Account, named: str) -> None:
    s3, iam = account.tenant("keyed-bounded", buckets=account.key), account.aws.client("iam")
    keys = {"the key": (account.key,), "another key": (account.other,), "no key": ()}[named]
    scope = replace(TEMPLATE, instance="keyed", account=DEFAULT_ACCOUNT_ID, bucket_keys=keys)
    policy = json.dumps(document(rights("boundary", scope)))
    boundary = iam.create_policy(PolicyName="keyed", PolicyDocument=policy)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="keyed-bounded", PermissionsBoundary=boundary)
    if named == "the key":
        write_and_read(s3)
    else:
        assert refusal(s3.put_object, **OBJECT, Body=b"x") == DENIED
        assert refusal(s3.put_object, **OBJECT, Body=b"x", ServerSideEncryption="AES256") is None
    iam.delete_role_permissions_boundary(RoleName="keyed-bounded")
    iam.delete_policy(PolicyArn=boundary)


def test_a_key_that_cannot_be_used_refuses_everybody_and_deletion_needs_no_key(account: Account) -> None:
    s3, key = account.tenant("keyed", buckets=account.key), account.make_key()
    account.encrypt(METRICS, account.key)
    for name in ("doomed", "doomed-too"):
        account.admin.put_object(Bucket=METRICS, Key=name, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    account.kms.disable_key(KeyId=key)
    for client in (s3, account.admin):
        assert refusal(client.get_object, Bucket=METRICS, Key="doomed") == (400, "KMS.DisabledException")
    account.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    state = (400, "KMS.KMSInvalidStateException")
    assert refusal(account.admin.get_object, Bucket=METRICS, Key="doomed") == state
    assert refusal(s3.delete_object, Bucket=METRICS, Key="doomed") is None
    gone = account.admin.delete_objects(Bucket=METRICS, Delete={"Objects": [{"Key": "doomed-too"}]})
    assert "Errors" not in gone
    missing = account.key.replace(REGION, "eu-west-1")
    account.encrypt(METRICS, missing)  # S3 takes any key, and refuses each write
    assert refusal(account.admin.put_object, **OBJECT, Body=b"x") == (400, "KMS.NotFoundException")
    account.encrypt(METRICS, account.key)


def statement(effect: str, principal: str, **conditions: Any) -> dict[str, Any]:
    actions = ["kms:Decrypt", "kms:GenerateDataKey"]
    shared = {"Effect": effect, "Principal": {"AWS": principal}, "Action": actions, "Resource": "*"}
    return shared | ({"Condition": conditions} if conditions else {})


ROOT = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:root"
ROLE = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/policed"


@pytest.mark.parametrize(
    ("statements", "named_by_role", "allowed"),
    [
        ([statement("Allow", ROOT)], True, True),
        ([statement("Allow", ROOT)], False, False),
        ([statement("Allow", ROOT, ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/pol*"})], True, True),
        ([statement("Allow", ROOT, ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/ops*"})], True, False),
        ([statement("Allow", ROLE)], False, True),
        ([statement("Allow", "arn:aws:iam::210987654321:root")], True, False),
        ([statement("Allow", ROOT), statement("Deny", ROLE)], True, False),
        ([statement("Allow", ROOT, StringEquals={"kms:ViaService": f"s3.{REGION}.amazonaws.com"})], True, True),
        ([statement("Allow", ROOT, StringEquals={"kms:ViaService": f"ec2.{REGION}.amazonaws.com"})], True, False),
        ([], True, False),
    ],
)  # fmt: skip
def test_the_policy_of_a_key_decides_with_the_role(
    account: Account, statements: list[dict[str, Any]], named_by_role: bool, allowed: bool
) -> None:
    key = account.make_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    account.encrypt(METRICS, key)
    s3 = account.tenant("policed", **({"buckets": key} if named_by_role else {}))
    assert refusal(s3.put_object, **OBJECT, Body=b"x") == (None if allowed else DENIED)
    account.encrypt(METRICS, account.key)


def test_a_session_cannot_use_a_key_past_s3(account: Account) -> None:
    account.tenant("keyed", buckets=account.key)
    session = account.aws.session("keyed", account.aws.token(account_of(TENANT, "tenant")))
    kms = account.aws.client("kms", **session)
    answer = refusal(kms.generate_data_key, KeyId=account.key, KeySpec="AES_256")
    assert answer and answer[0] in (400, 403)
    assert "Traceback" not in account.aws.log.read_text()
