"""What a tenant's pods may reach; what is asked of the gateway from outside is in tests/security."""

import boto3
import pytest
import urllib3
from botocore.exceptions import ClientError

from tests.e2e.walk import INSTANCE, Walk


def test_a_tenant_s_role_opens_its_own_buckets_and_no_other(walk: Walk) -> None:
    endpoint = walk.shell["AWS_ENDPOINT_URL"]
    role = walk.aws("iam").get_role(RoleName=f"opstrace-{INSTANCE}-default")["Role"]["Arn"]
    token = walk.kubectl("-n", "default-tenant", "create", "token", "tenant", "--audience", "sts.amazonaws.com").strip()
    own, other = walk.buckets("default"), walk.buckets("system")
    assert len(own) == len(other) == 3
    given = walk.aws("sts").assume_role_with_web_identity(RoleArn=role, RoleSessionName="test", WebIdentityToken=token)[
        "Credentials"
    ]
    s3 = boto3.client(
        "s3",
        "us-west-2",
        endpoint_url=walk.shell["AWS_ENDPOINT_URL_S3"],
        verify=walk.ca,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    _enforce_iam(endpoint, "0")
    try:
        for bucket in own:
            assert s3.put_object(Bucket=bucket, Key="probe", Body=b"x")["ResponseMetadata"]["HTTPStatusCode"] == 200
            s3.list_objects_v2(Bucket=bucket)
            s3.delete_object(Bucket=bucket, Key="probe")
        for bucket in other:
            for call in (
                lambda bucket=bucket: s3.put_object(Bucket=bucket, Key="probe", Body=b"x"),
                lambda bucket=bucket: s3.list_objects_v2(Bucket=bucket),
            ):
                with pytest.raises(ClientError) as refused:
                    call()
                assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    finally:
        _enforce_iam(endpoint, "inf")


def _enforce_iam(endpoint: str, after_calls: str) -> None:
    """Let moto check IAM policies after so many further calls (`inf`: never)."""
    answer = urllib3.request("POST", f"{endpoint}/moto-api/reset-auth", body=after_calls)
    assert answer.status == 200
