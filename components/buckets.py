"""A tenant's buckets, and the policies that hold them shut."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.names import BUCKET_KINDS, RANDOM_BYTES, RETENTION_TAG, BucketKind, bucket_prefix
from components.options import child
from components.section import hours
from components.tenant_config import TenantSettings

# Of the lifecycle rules, a net below the retention that the compactors enforce: a compacted object is younger than the data
# in it, and a compactor that stands still has time to be mended.
SAFETY_DAYS = 30
UPLOAD_DAYS = 7  # until an upload that nobody finishes goes


@dataclass(frozen=True)
class BucketsArgs:
    """`tags` are those of the stack and the tenant; instance, tenant and kind are added."""

    instance: str
    tenant: str
    settings: TenantSettings
    tags: Mapping[str, str]

    def retention_days(self, kind: BucketKind) -> int | None:
        """Return for how many days the bucket's data is kept, None where it is for ever."""
        kept = {"metrics": self.settings.retention.metrics, "logs": self.settings.retention.logs}.get(kind)
        return None if kept is None else -(-hours(kept) // 24)


def tls_only_policy(bucket: str) -> str:
    """Return the bucket policy that refuses whoever comes without TLS, as JSON."""
    arn = f"arn:aws:s3:::{bucket}"
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def read_write_policy(buckets: list[str]) -> str:
    """Return the IAM policy that reads and writes `buckets` and nothing else, as JSON."""
    arns = [f"arn:aws:s3:::{bucket}" for bucket in buckets]
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": arns},
        {"Effect": "Allow", "Action": objects, "Resource": [f"{arn}/*" for arn in arns]},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def declare_buckets(name: str, args: BucketsArgs, parent: pulumi.Resource) -> dict[BucketKind, pulumi.Output[str]]:
    """Declare the three buckets of a tenant; return their physical names by kind.

    The random end is a resource of its own, known before any bucket is made: an update
    that was killed asks for the same names again, and a tenant that is made anew for others.
    Encryption and the absence of ACLs are what S3 gives every new bucket since April 2023.
    """
    ending = random.RandomId(f"{name}-bucket-suffix", byte_length=RANDOM_BYTES, opts=child(parent))
    return {kind: _declare_bucket(name, kind, args, ending, parent) for kind in BUCKET_KINDS}


def _declare_bucket(
    name: str, kind: BucketKind, args: BucketsArgs, ending: random.RandomId, parent: pulumi.Resource
) -> pulumi.Output[str]:
    prefix = bucket_prefix(args.instance, args.tenant, kind, 2 * RANDOM_BYTES)
    days = args.retention_days(kind)
    marks = {"opstrace:instance": args.instance, "opstrace:tenant": args.tenant, "opstrace:kind": kind}
    marks |= {} if days is None else {RETENTION_TAG: str(days)}
    retain = args.settings.on_delete == "retain"
    stays = pulumi.ResourceOptions(retain_on_delete=retain)  # with what holds the bucket shut
    bucket = aws.s3.Bucket(
        f"{name}-{kind}-bucket",
        bucket=pulumi.Output.concat(prefix, ending.hex),
        force_destroy=not retain,
        tags={**args.tags, **marks},
        opts=child(parent, more=stays),
    )
    closed = aws.s3.BucketPublicAccessBlock(
        f"{name}-{kind}-access",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=child(parent, more=stays),
    )
    aws.s3.BucketPolicy(
        f"{name}-{kind}-policy",
        bucket=bucket.bucket,
        policy=bucket.bucket.apply(tls_only_policy),
        opts=child(parent, closed, more=stays),
    )
    aws.s3.BucketLifecycleConfiguration(
        f"{name}-{kind}-lifecycle",
        bucket=bucket.bucket,
        rules=lifecycle(args.tenant, kind, days),
        opts=child(parent),  # goes with the tenant: nothing of what is retained is to go by itself
    )
    return bucket.bucket


def lifecycle(tenant: str, kind: BucketKind, days: int | None) -> Any:
    """Return the rules that remove what no compactor did, long after its time, and unfinished uploads.

    `days` is the retention. Data alone is removed: Loki keeps its tenant's rules in the bucket of the logs too.
    Typed as Any: to hold a list of rules to all forms that the SDK takes, mypy needs 20 GB.
    """
    prefixes = {"metrics": [f"{tenant}/"], "logs": [f"{tenant}/", "index/"], "config": []}[kind]
    expirations = [
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id=f"older-than-any-retention-{number}",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=prefix),
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days + SAFETY_DAYS),
        )
        for number, prefix in enumerate(prefixes)
        if days is not None
    ]
    uploads = aws.s3.BucketLifecycleConfigurationRuleArgs(
        id="unfinished-uploads",
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=UPLOAD_DAYS
        ),
    )
    return [*expirations, uploads]
