"""A tenant's buckets, and the policies that protect them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_random as random

from components.config.tenant import TenantSettings
from components.core.names import BUCKET_KINDS, RANDOM_BYTES, BucketKind, bucket_prefix
from components.core.resource_names import (
    BUCKET_POLICY_TYPE,
    BUCKET_TYPE,
    LIFECYCLE_TYPE,
    PUBLIC_ACCESS_BLOCK_TYPE,
    bucket_name,
    bucket_part_name,
    bucket_suffix_name,
)
from components.core.tags import FORMER_KEY_TAG, INSTANCE_TAG, KIND_TAG, RETENTION_TAG, TENANT_TAG
from components.core.units import hours
from components.shared.aws_resource import AwsResource, Bucket
from components.shared.options import child
from components.tenant.encryption import NO_OBJECT_KEYS, ObjectKeys
from components.tenant.iam_role import bucket_policy

# The lifecycle rules are a safety net behind the compactors, which enforce the retention. They wait longer, because a
# compacted object is younger than its data, and because a stopped compactor may be repaired.
SAFETY_DAYS = 30
UPLOAD_DAYS = 7  # until an unfinished upload is deleted


@dataclass(frozen=True, kw_only=True)
class BucketsArgs:
    """The tenant of the buckets; `tags` are those of the stack and the tenant, to which each bucket adds its own.

    `former_keys` are the ARNs of KMS keys by which some objects may be encrypted, beside that of the bucket.
    """

    instance: str
    tenant: str
    settings: TenantSettings
    tags: Mapping[str, str]
    former_keys: Sequence[str] = ()

    def retention_days(self, kind: BucketKind) -> int | None:
        """Return the retention of the bucket's data in days, None if it is kept forever."""
        kept = {"metrics": self.settings.retention.metrics, "logs": self.settings.retention.logs}.get(kind)
        return None if kept is None else -(-hours(kept) // 24)


def tls_only_policy(bucket: str) -> str:
    """Return the bucket policy that refuses requests without TLS, as JSON."""
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


def read_write_policy(buckets: list[str], account: str, keys: ObjectKeys = NO_OBJECT_KEYS) -> str:
    """Return the IAM policy that reads and writes `buckets` of the account and nothing else, as JSON."""
    arns = [f"arn:aws:s3:::{bucket}" for bucket in buckets]
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    patterns = [f"{arn}/*" for arn in arns]
    return bucket_policy(
        account,
        (["s3:ListBucket", "s3:GetBucketLocation"], arns),
        (objects, patterns),
        keys=keys.statements([*arns, *patterns]),
    )


def declare_buckets(name: str, args: BucketsArgs, parent: pulumi.Resource) -> dict[BucketKind, pulumi.Output[str]]:
    """Declare the three buckets of a tenant; return their physical names by kind.

    The random end of the names is a resource of its own. So an update that was killed asks for the same names again, and
    a tenant that was deleted and added again gets other names. S3 encrypts every new bucket and disables its ACLs.
    """
    suffix = random.RandomId(bucket_suffix_name(name), byte_length=RANDOM_BYTES, opts=child(parent))
    return {kind: _declare_bucket(name, kind, args, suffix, parent) for kind in BUCKET_KINDS}


def _declare_bucket(
    name: str, kind: BucketKind, args: BucketsArgs, suffix: random.RandomId, parent: pulumi.Resource
) -> pulumi.Output[str]:
    prefix = bucket_prefix(args.instance, args.tenant, kind, 2 * RANDOM_BYTES)
    days = args.retention_days(kind)
    own_tags = {INSTANCE_TAG: args.instance, TENANT_TAG: args.tenant, KIND_TAG: kind}
    own_tags |= {} if days is None else {RETENTION_TAG: str(days)}
    # Data that outlives its tenant needs these keys, too, and nothing else tells who adopts it.
    own_tags |= {f"{FORMER_KEY_TAG}{number}": key for number, key in enumerate(args.former_keys)}
    retain = args.settings.on_delete == "retain"
    retained = pulumi.ResourceOptions(retain_on_delete=retain)  # the policies of a retained bucket stay, too
    bucket = Bucket(
        BUCKET_TYPE,
        bucket_name(name, kind),
        child(parent, more=retained),
        bucket=pulumi.Output.concat(prefix, suffix.hex),
        forceDestroy=not retain,
        tags={**args.tags, **own_tags},
    )
    access = AwsResource(
        PUBLIC_ACCESS_BLOCK_TYPE,
        bucket_part_name(name, kind, "access"),
        child(parent, more=retained),
        bucket=bucket.bucket,
        blockPublicAcls=True,
        blockPublicPolicy=True,
        ignorePublicAcls=True,
        restrictPublicBuckets=True,
    )
    AwsResource(
        BUCKET_POLICY_TYPE,
        bucket_part_name(name, kind, "policy"),
        child(parent, access, more=retained),
        bucket=bucket.bucket,
        policy=bucket.bucket.apply(tls_only_policy),
    )
    AwsResource(
        LIFECYCLE_TYPE,
        bucket_part_name(name, kind, "lifecycle"),
        child(parent),  # is deleted with the tenant: retained data must not expire
        bucket=bucket.bucket,
        rules=lifecycle(args.tenant, kind, days),
    )
    return bucket.bucket


def lifecycle(tenant: str, kind: BucketKind, days: int | None) -> list[dict[str, Any]]:
    """Return the rules that delete data long after its retention, and unfinished uploads.

    They name the prefixes of data, because Loki keeps the tenant's rules in the bucket of the logs, too.

    Args:
        tenant: the name of the tenant.
        kind: the kind of the bucket.
        days: the retention in days, None for forever.
    """
    prefixes = {"metrics": [f"{tenant}/"], "logs": [f"{tenant}/", "index/"], "config": []}[kind]
    expirations = [
        _rule(f"older-than-any-retention-{number}", prefix, expiration={"days": days + SAFETY_DAYS})
        for number, prefix in enumerate(prefixes)
        if days is not None
    ]
    unfinished = {"daysAfterInitiation": UPLOAD_DAYS}
    return [*expirations, _rule("unfinished-uploads", "", abortIncompleteMultipartUpload=unfinished)]


def _rule(identity: str, prefix: str, **action: Any) -> dict[str, Any]:
    return {"id": identity, "status": "Enabled", "filter": {"prefix": prefix}, **action}
