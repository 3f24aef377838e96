"""The embedded AWS holds a role's session to the role's policies."""

import json
import time
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from cryptography.hazmat.primitives import serialization
from moto.core.models import DEFAULT_ACCOUNT_ID

from components.tenant.buckets import read_write_policy, tls_only_policy
from localcloud.certificate_authority import signing_key
from localcloud.settings import REGION
from tests.support.aws_requests import CALLS, CONFIG, OTHER, OWN, TENANT, account_of, send, session_credentials
from tests.support.embedded_aws import AUDIENCE, EmbeddedAws, refusal


def test_a_role_is_assumed_only_by_the_service_account_of_its_trust_policy(aws: EmbeddedAws) -> None:
    name = account_of(TENANT, "tenant")
    assert aws.session("tenant", aws.token(name))
    assert aws.session("tenant", aws.token(name, aud=["other", AUDIENCE]))
    stranger = serialization.load_pem_private_key(signing_key(), None)
    refused = {
        "another service account": (aws.token(account_of(TENANT, "alertmanager")), 403),
        "another namespace": (aws.token(account_of("other", "tenant")), 403),
        "another key": (aws.token(name, stranger), 400),
        "another issuer": (aws.token(name, iss="https://evil.example"), 400),
        "another audience": (aws.token(name, aud=["kubernetes"]), 400),
        "it ended": (aws.token(name, exp=int(time.time()) - 1), 400),
        "no end": (aws.token(name, exp=None), 400),
        "no token": ("x.y.z", 400),
    }
    outcome = {why: refusal(aws.session, role="tenant", token=token) for why, (token, _) in refused.items()}
    assert {why: answer and answer[0] for why, answer in outcome.items()} == {
        why: code for why, (_, code) in refused.items()
    }
    assert refusal(aws.session, role="nosuch", token=aws.token(name)) == (403, "AccessDenied")


def test_a_session_lasts_no_longer_than_its_role_says(aws: EmbeddedAws) -> None:
    token = aws.token(account_of(TENANT, "tenant"))
    assert refusal(aws.session, role="tenant", token=token, DurationSeconds=3601)
    assert refusal(aws.session, role="tenant", token=token, Policy="{}")


def test_a_tenant_s_role_opens_its_own_buckets_alone(aws: EmbeddedAws, tenant: dict[str, Any]) -> None:
    s3 = aws.client("s3", **tenant)
    for bucket in (OWN, CONFIG):
        s3.put_object(Bucket=bucket, Key="new", Body=b"x")
        s3.list_objects_v2(Bucket=bucket)
        s3.head_bucket(Bucket=bucket)
        s3.get_bucket_location(Bucket=bucket)
        upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"y")
        s3.complete_multipart_upload(
            Bucket=bucket,
            Key="parts",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
        s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": OWN, "Key": "probe"})
        gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "copy"}, {"Key": "parts"}]})
        assert {entry["Key"] for entry in gone["Deleted"]} == {"copy", "parts"} and "Errors" not in gone
        s3.delete_object(Bucket=bucket, Key="new")
    denied = (403, "AccessDenied")
    assert refusal(s3.list_buckets) == denied
    assert (
        refusal(s3.create_bucket, Bucket="mine-1", CreateBucketConfiguration={"LocationConstraint": REGION}) == denied
    )
    assert refusal(s3.list_objects_v2, Bucket=OTHER) == denied
    assert refusal(s3.get_object, Bucket=OTHER, Key="probe") == denied
    assert refusal(s3.put_object, Bucket=OTHER, Key="probe", Body=b"x") == denied
    assert refusal(s3.copy_object, Bucket=OWN, Key="stolen", CopySource={"Bucket": OTHER, "Key": "probe"}) == denied
    gone = s3.delete_objects(Bucket=OTHER, Delete={"Objects": [{"Key": "probe"}]})
    assert [entry["Code"] for entry in gone["Errors"]] == ["AccessDenied"]
    assert aws.client("s3").get_object(Bucket=OTHER, Key="probe")["Body"].read() == OTHER.encode()
    upload = s3.create_multipart_upload(Bucket=OWN, Key="parts")["UploadId"]
    part = {"Bucket": OWN, "Key": "parts", "UploadId": upload, "PartNumber": 1}
    assert refusal(s3.upload_part_copy, **part, CopySource={"Bucket": OTHER, "Key": "probe"}) == denied
    s3.abort_multipart_upload(Bucket=OWN, Key="parts", UploadId=upload)


def test_an_upload_is_one_of_its_bucket_and_key(
    aws: EmbeddedAws, tenant: dict[str, Any], alertmanager: dict[str, Any]
) -> None:
    admin, own = aws.client("s3"), f"alerts/{TENANT}"
    foreign = admin.create_multipart_upload(Bucket=CONFIG, Key=f"rules/{TENANT}")["UploadId"]
    part = admin.upload_part(Bucket=CONFIG, Key=f"rules/{TENANT}", UploadId=foreign, PartNumber=1, Body=b"rules")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    missing = (404, "NoSuchUpload")
    for s3, bucket, key in (
        (aws.client("s3", **alertmanager), CONFIG, own),
        (aws.client("s3", **tenant), OWN, f"rules/{TENANT}"),
        (admin, CONFIG, own),
    ):
        for identity in (foreign, "nosuch"):
            named = {"Bucket": bucket, "Key": key, "UploadId": identity}
            source = {"CopySource": {"Bucket": bucket, "Key": key}}
            assert refusal(s3.upload_part, **named, PartNumber=1, Body=b"evil") == missing
            assert refusal(s3.upload_part_copy, **named, PartNumber=1, **source) == missing
            assert refusal(s3.complete_multipart_upload, **named, MultipartUpload=parts) == missing
            if s3 is admin or bucket == OWN:
                assert refusal(s3.abort_multipart_upload, **named) == missing
            assert refusal(admin.list_parts, **named) == missing
    named = {"Bucket": CONFIG, "Key": f"rules/{TENANT}", "UploadId": foreign}
    for _ in range(2):  # a client that lost the answer repeats the call
        assert refusal(admin.complete_multipart_upload, **named, MultipartUpload=parts) is None
    assert admin.get_object(Bucket=CONFIG, Key=f"rules/{TENANT}")["Body"].read() == b"rules"
    assert "Traceback" not in aws.log.read_text()


def test_the_effects_of_an_upload_s_headers_need_permission(aws: EmbeddedAws, tenant: dict[str, Any]) -> None:
    s3, admin = aws.client("s3", **tenant), aws.client("s3")
    for besides in (
        {"ACL": "public-read"},
        {"GrantRead": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
        {"Tagging": "a=b"},
        {"ObjectLockLegalHoldStatus": "ON"},
    ):
        named = {"Bucket": OWN, "Key": "besides", **besides}
        assert refusal(s3.put_object, **named, Body=b"x") == (403, "AccessDenied"), besides
        assert refusal(s3.create_multipart_upload, **named) == (403, "AccessDenied"), besides
        assert refusal(s3.copy_object, **named, CopySource={"Bucket": OWN, "Key": "probe"}) == (403, "AccessDenied")
    assert refusal(admin.put_object, Bucket=OWN, Key="besides", Body=b"x", ACL="private", Tagging="a=b") is None
    assert refusal(s3.put_object, Bucket=OWN, Key="besides", Body=b"x") is None


def test_a_role_reads_and_changes_no_settings_of_its_buckets(aws: EmbeddedAws, tenant: dict[str, Any]) -> None:
    s3 = aws.client("s3", **tenant)
    for name in ("policy", "encryption", "replication", "tagging", "versioning", "ownership_controls", "acl"):
        assert refusal(getattr(s3, f"get_bucket_{name}"), Bucket=OWN) == (403, "AccessDenied"), name
    assert refusal(s3.get_public_access_block, Bucket=OWN) == (403, "AccessDenied")
    assert refusal(s3.delete_bucket_policy, Bucket=OWN) == (403, "AccessDenied")
    assert refusal(s3.put_bucket_policy, Bucket=OWN, Policy=tls_only_policy(OWN)) == (403, "AccessDenied")
    assert refusal(s3.delete_bucket, Bucket=OWN) == (403, "AccessDenied")
    # Two buckets in one call; the role may access one of them.
    request = AWSRequest("GET", f"{aws.settings.s3_endpoint}/{OWN}?location&policy")
    S3SigV4Auth(session_credentials(tenant), "s3", REGION).add_auth(request)
    assert send(aws, request, b"")[0] == 403


def test_an_alertmanager_s_role_opens_its_own_objects_alone(aws: EmbeddedAws, alertmanager: dict[str, Any]) -> None:
    s3, own = aws.client("s3", **alertmanager), f"alerts/{TENANT}"
    content = s3.get_object(Bucket=CONFIG, Key=own)["Body"].read()
    s3.put_object(Bucket=CONFIG, Key=own, Body=content)
    s3.list_objects_v2(Bucket=CONFIG)
    denied = (403, "AccessDenied")
    assert refusal(s3.put_object, Bucket=CONFIG, Key="alerts/other", Body=b"x") == denied
    assert refusal(s3.get_object, Bucket=CONFIG, Key=f"rules/{TENANT}") == denied
    source = {"Bucket": CONFIG, "Key": f"rules/{TENANT}"}
    assert refusal(s3.copy_object, Bucket=CONFIG, Key=own, CopySource=source) == denied
    for bucket in (OWN, OTHER):
        assert refusal(s3.list_objects_v2, Bucket=bucket) == denied
        assert refusal(s3.get_object, Bucket=bucket, Key=own) == denied
    unsigned = aws.client("s3", config=Config(signature_version=UNSIGNED))
    assert refusal(unsigned.get_object, Bucket=CONFIG, Key=own) == denied
    foreign = aws.client("s3", **alertmanager | {"aws_secret_access_key": "forged"})
    assert refusal(foreign.get_object, Bucket=CONFIG, Key=own) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("service", [*CALLS])
def test_a_session_calls_no_other_service(aws: EmbeddedAws, tenant: dict[str, Any], service: str) -> None:
    answer = refusal(getattr(aws.client(service, **tenant), CALLS[service]))
    assert answer is None if service == "sts" else answer is not None and answer[0] == 403


def test_a_session_reaches_no_control_path_and_no_other_account(aws: EmbeddedAws, tenant: dict[str, Any]) -> None:
    for service, path in (("s3", "/moto-api/data.json"), ("moto", "/moto-api/reset"), ("s3", "/v20180820/jobs")):
        request = AWSRequest("GET", f"{aws.settings.s3_endpoint}{path}")
        SigV4Auth(session_credentials(tenant), service, REGION).add_auth(request)
        assert send(aws, request, b"")[0] == 403
    sts = aws.client("sts", **tenant)
    assert sts.get_caller_identity()["Arn"].endswith(":assumed-role/tenant/test")
    arn = "arn:aws:iam::123456789012:role/alertmanager"
    assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="test") == (403, "AccessDenied")
    request = AWSRequest(
        "GET", f"{aws.settings.s3_endpoint}/{OWN}/probe", headers={"x-moto-account-id": "111111111111"}
    )
    S3SigV4Auth(session_credentials(tenant), "s3", REGION).add_auth(request)
    assert send(aws, request, b"") == (200, OWN)
    request = AWSRequest("GET", f"{aws.settings.s3_endpoint}/")
    S3SigV4Auth(session_credentials(tenant), "s3", "cn-north-1").add_auth(request)
    assert send(aws, request, b"")[0] == 403


def test_a_session_needs_its_own_token_and_its_role(aws: EmbeddedAws, tenant: dict[str, Any]) -> None:
    without = {name: value for name, value in tenant.items() if name != "aws_session_token"}
    assert refusal(aws.client("s3", **without).get_object, Bucket=OWN, Key="probe") == (403, "InvalidToken")
    foreign = tenant | {"aws_session_token": "x"}
    assert refusal(aws.client("s3", **foreign).get_object, Bucket=OWN, Key="probe") == (403, "InvalidToken")
    iam = aws.client("iam")
    trust = json.dumps(iam.get_role(RoleName="tenant")["Role"]["AssumeRolePolicyDocument"])
    iam.create_role(RoleName="short", AssumeRolePolicyDocument=trust)
    policy = read_write_policy([OWN], DEFAULT_ACCOUNT_ID)
    iam.put_role_policy(RoleName="short", PolicyName="buckets", PolicyDocument=policy)
    s3 = aws.client("s3", **aws.session("short", aws.token(account_of(TENANT, "tenant"))))
    assert refusal(s3.get_object, Bucket=OWN, Key="probe") is None
    iam.delete_role_policy(RoleName="short", PolicyName="buckets")
    assert refusal(s3.get_object, Bucket=OWN, Key="probe") == (403, "AccessDenied")
    iam.delete_role(RoleName="short")
    answer = refusal(s3.get_object, Bucket=OWN, Key="probe")
    assert answer and answer[0] == 403
