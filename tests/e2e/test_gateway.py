"""Connections of a tenant's pods. Requests to the gateway from outside are in tests/security."""

from tests.support.user_session import INSTANCE, UserSession, assert_forbidden


def test_a_tenant_s_role_opens_its_own_buckets_and_no_other(walk: UserSession) -> None:
    own, other = walk.buckets("default"), walk.buckets("system")
    assert len(own) == len(other) == 3
    s3 = walk.s3_of("default", f"opstrace-{INSTANCE}-default", "tenant")
    for bucket in own:
        assert s3.put_object(Bucket=bucket, Key="probe", Body=b"x")["ResponseMetadata"]["HTTPStatusCode"] == 200
        s3.list_objects_v2(Bucket=bucket)
        s3.delete_object(Bucket=bucket, Key="probe")
    for bucket in other:
        for call in (
            lambda bucket=bucket: s3.put_object(Bucket=bucket, Key="probe", Body=b"x"),
            lambda bucket=bucket: s3.list_objects_v2(Bucket=bucket),
        ):
            assert_forbidden(call)
