"""A tenant's buckets, and the policies that hold them shut."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random

from components.names import BUCKET_KINDS, BucketKind, bucket_prefix
from components.options import child

RANDOM_BYTES = 4


@dataclass(frozen=True)
class BucketsArgs:
    """`tags` are those of the stack; instance, tenant and kind are added."""

    instance: str
    tenant: str
    tags: Mapping[str, str]


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
    names: dict[BucketKind, pulumi.Output[str]] = {}
    for kind in BUCKET_KINDS:
        prefix = bucket_prefix(args.instance, args.tenant, kind, 2 * RANDOM_BYTES)
        bucket = aws.s3.Bucket(
            f"{name}-{kind}-bucket",
            bucket=pulumi.Output.concat(prefix, ending.hex),
            force_destroy=True,
            tags={
                **args.tags,
                "opstrace:instance": args.instance,
                "opstrace:tenant": args.tenant,
                "opstrace:kind": kind,
            },
            opts=child(parent),
        )
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-{kind}-access",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child(parent),
        )
        aws.s3.BucketPolicy(
            f"{name}-{kind}-policy",
            bucket=bucket.bucket,
            policy=bucket.bucket.apply(tls_only_policy),
            opts=child(parent, closed),
        )
        names[kind] = bucket.bucket
    return names
