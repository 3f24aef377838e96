"""Single buckets in S3: their contents, tags, deletion and expiry."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

from components.core.errors import UserError
from components.core.tags import FORMER_KEY_TAG, PURGING_TAG, RETENTION_TAG
from scripts.clients.aws import Clients, is_code
from scripts.clients.concurrent import map_concurrently
from scripts.ui.sizes import in_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

POLL_SECONDS = 2
EXPIRY_RULE = "retained-data-expires"
NO_BUCKET = ("NoSuchBucket", "404")


@dataclass(frozen=True)
class Contents:
    """The contents of buckets, sizes in bytes. `newest` is when the last object was written, None where there is none."""

    objects: int = 0
    versions: int = 0
    uploads: int = 0
    size: int = 0
    newest: datetime.datetime | None = None

    def __add__(self, other: Contents) -> Contents:
        newest = max(filter(None, (self.newest, other.newest)), default=None)
        return Contents(
            self.objects + other.objects,
            self.versions + other.versions,
            self.uploads + other.uploads,
            self.size + other.size,
            newest,
        )

    def __str__(self) -> str:
        return f"{self.objects:,} objects, {in_units(self.size)}"

    def plain(self) -> dict[str, int]:
        """Return the numbers as `--json` has them."""
        counts = {"objects": self.objects, "versions": self.versions, "uploads": self.uploads}
        return counts | {"storedBytes": self.size}


def tags_of(aws: Clients, bucket: str) -> dict[str, str]:
    """Return a bucket's tags; none where the bucket is gone or belongs to somebody else."""
    try:
        answer = aws["s3"].get_bucket_tagging(Bucket=bucket)
    except ClientError as error:
        # A bucket of somebody else may have a name that begins like ours.
        if is_code(error, "NoSuchTagSet", "AccessDenied", *NO_BUCKET):
            return {}
        raise
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def mark(aws: Clients, bucket: str, name: str) -> None:
    """Add a tag to a bucket, and keep its other tags."""
    tags = [{"Key": key, "Value": value} for key, value in (tags_of(aws, bucket) | {name: "true"}).items()]
    aws["s3"].put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})


def contents(aws: Clients, buckets: Iterable[str], listed: Callable[[], None] | None = None) -> Contents:
    """Count what the buckets hold, with old versions and unfinished uploads; a deleted bucket counts as empty.

    `listed` is called for each list that S3 sent. What it raises ends the count.
    """
    return sum(map_concurrently(lambda bucket: _contents(aws, bucket, listed), buckets), Contents())


def _lists(aws: Clients, operation: str, bucket: str, listed: Callable[[], None] | None) -> Iterator[dict[str, Any]]:
    for page in aws["s3"].get_paginator(operation).paginate(Bucket=bucket):
        if listed:
            listed()
        yield page


def _contents(aws: Clients, bucket: str, listed: Callable[[], None] | None) -> Contents:
    total = Contents()
    try:
        for page in _lists(aws, "list_object_versions", bucket, listed):
            versions = page.get("Versions", [])
            live = [entry for entry in versions if entry["IsLatest"]]
            old = len(versions) - len(live) + len(page.get("DeleteMarkers", []))
            newest = max((entry["LastModified"] for entry in live), default=None)
            total += Contents(len(live), old, 0, sum(entry["Size"] for entry in versions), newest)
        for page in _lists(aws, "list_multipart_uploads", bucket, listed):
            total += Contents(uploads=len(page.get("Uploads", [])))
    except ClientError as error:
        if not is_code(error, *NO_BUCKET):
            raise
    return total


def exists(aws: Clients, bucket: str) -> bool:
    """Tell whether a bucket exists."""
    try:
        aws["s3"].head_bucket(Bucket=bucket)
    except ClientError as error:
        if is_code(error, *NO_BUCKET):
            return False
        raise
    return True


def is_gone(aws: Clients, bucket: str, seconds: int) -> bool:
    """Tell whether a deleted bucket is gone; wait up to `seconds` until S3 lists it no longer."""
    config = {"Delay": POLL_SECONDS, "MaxAttempts": max(seconds // POLL_SECONDS, 1)}
    try:
        aws["s3"].get_waiter("bucket_not_exists").wait(Bucket=bucket, WaiterConfig=config)
    except WaiterError:
        return False
    return True


def purge(aws: Clients, bucket: str, progress: Callable[[int], None]) -> None:
    """Delete a bucket with all its contents; `progress` gets the number of objects of each batch.

    An interrupted purge can be run again. Raises `UserError` where S3 refuses to delete an object, and names the first.
    """
    s3 = aws["s3"]
    try:
        mark(aws, bucket, PURGING_TAG)
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            batch = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if batch:
                _delete_batch(s3, bucket, [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in batch])
                progress(len(batch))
        s3.delete_bucket(Bucket=bucket)
    except ClientError as error:
        if not is_code(error, *NO_BUCKET):
            raise UserError(f"the bucket {bucket} cannot be deleted: {error}; run this again") from error


def _delete_batch(s3: Any, bucket: str, keys: list[dict[str, str]]) -> None:
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    for refused in answer.get("Errors", []):
        raise UserError(f"{refused['Key']} of the bucket {bucket} cannot be deleted: {refused['Message']}")


def _rules(aws: Clients, bucket: str) -> list[dict[str, Any]]:
    """Return a bucket's lifecycle rules."""
    try:
        return list(aws["s3"].get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])
    except ClientError as error:
        if is_code(error, "NoSuchLifecycleConfiguration", *NO_BUCKET):
            return []
        raise


def retention_days(aws: Clients, bucket: str) -> int | None:
    """Return the retention that a bucket's tags record, in days; None where they record none."""
    days = tags_of(aws, bucket).get(RETENTION_TAG, "")
    return int(days) if days.isdecimal() else None


def keys_of(aws: Clients, bucket: str) -> set[str]:
    """Return the KMS keys by which objects of a bucket may be encrypted: its own, and the former ones that its tags record."""
    former = {key for tag, key in tags_of(aws, bucket).items() if tag.startswith(FORMER_KEY_TAG)}
    return former | {*filter(None, [_key_of(aws, bucket)])}


def _key_of(aws: Clients, bucket: str) -> str | None:
    """Return the KMS key by which a bucket encrypts new objects, None for S3's own keys."""
    try:
        answer = aws["s3"].get_bucket_encryption(Bucket=bucket)
    except ClientError as error:
        if is_code(error, "ServerSideEncryptionConfigurationNotFoundError"):  # of services in the place of S3
            return None
        raise
    (rule,) = answer["ServerSideEncryptionConfiguration"]["Rules"]
    key: str | None = rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
    return key


def expire(aws: Clients, bucket: str, day: datetime.date) -> None:
    """Let S3 empty a bucket on `day` (UTC), and keep its other lifecycle rules."""
    rule = {
        "ID": EXPIRY_RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Date": datetime.datetime.combine(day, datetime.time(), datetime.UTC)},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    others = [entry for entry in _rules(aws, bucket) if entry["ID"] != EXPIRY_RULE]
    aws["s3"].put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [*others, rule]})


def expires_on(aws: Clients, buckets: Iterable[str]) -> datetime.date | None:
    """Return the day on which S3 empties the buckets, None where no expiry is set."""
    for bucket in buckets:
        for rule in _rules(aws, bucket):
            if rule["ID"] == EXPIRY_RULE:
                date = rule["Expiration"]["Date"]
                instant = date if isinstance(date, datetime.datetime) else datetime.datetime.fromisoformat(date)
                return instant.date()
    return None
