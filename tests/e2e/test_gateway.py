"""What a tenant's pods may reach; what is asked of the gateway from outside is in tests/security."""

from tests.e2e.walk import INSTANCE, Walk, assert_forbidden


def test_a_tenant_s_role_opens_its_own_buckets_and_no_other(walk: Walk) -> None:
    own, other = walk.buckets("default"), walk.buckets("system")
    assert len(own) == len(other) == 3
    s3 = walk.s3_of("default", f"opstrace-{INSTANCE}-default", "tenant")
    with walk.policies_enforced():
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
