"""The data of tenants in S3: what is there, whose it is, how to be rid of it.

A tenant's three buckets have one random end in common, the *id* of their set. A set
that no tenant of the state owns is retained data.
"""

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from components.buckets import RANDOM_BYTES
from components.errors import UserError
from components.names import BUCKET_KINDS
from scripts.aws import Clients

ID_LENGTH = 2 * RANDOM_BYTES
EXPIRY_RULE = "retained-data-expires"
NO_BUCKET = ("NoSuchBucket", "404")
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True)
class Contents:
    """What buckets hold. `newest` is when the last object was written, None where there is none."""

    objects: int = 0
    versions: int = 0
    uploads: int = 0
    size: int = 0
    newest: datetime.datetime | None = None

    def __add__(self, other: "Contents") -> "Contents":
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


@dataclass
class Store:
    """The buckets of one tenant, by kind. `created` is the time of the oldest bucket."""

    tenant: str
    id: str
    created: datetime.datetime
    buckets: dict[str, str] = field(default_factory=dict)


def in_units(size: int) -> str:
    """Return a number of bytes as people read it, in powers of 1000."""
    number, unit = float(size), 0
    while number >= 1000 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} B" if unit == 0 else f"{number:.1f} {UNITS[unit]}"


def is_code(error: ClientError, *codes: str) -> bool:
    """Tell whether AWS refused with one of the codes."""
    return error.response["Error"]["Code"] in codes


def stores(aws: Clients, instance: str) -> list[Store]:
    """Return the data of all tenants of an instance, found by the buckets' tags; also of tenants that are gone."""
    found: dict[tuple[str, str], Store] = {}
    for bucket in aws["s3"].list_buckets()["Buckets"]:
        # Names begin with the instance's: tags are asked for where it can be one of ours.
        tags = _tags(aws, bucket["Name"]) if bucket["Name"].startswith(f"{instance}-") else {}
        if tags.get("opstrace:instance") != instance or tags.get("opstrace:kind") not in BUCKET_KINDS:
            continue
        tenant, identity = tags["opstrace:tenant"], bucket["Name"][-ID_LENGTH:]
        store = found.setdefault((tenant, identity), Store(tenant, identity, bucket["CreationDate"]))
        store.created = min(store.created, bucket["CreationDate"])
        store.buckets[tags["opstrace:kind"]] = bucket["Name"]
    return sorted(found.values(), key=lambda store: (store.tenant, store.created))


def _tags(aws: Clients, bucket: str) -> dict[str, str]:
    try:
        answer = aws["s3"].get_bucket_tagging(Bucket=bucket)
    except ClientError as error:
        if is_code(error, "NoSuchTagSet", *NO_BUCKET):
            return {}
        raise
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def contents(aws: Clients, buckets: Iterable[str]) -> Contents:
    """Count what the buckets hold, versions and unfinished uploads too; a bucket that is gone holds nothing."""
    return sum((_contents(aws, bucket) for bucket in buckets), Contents())


def _contents(aws: Clients, bucket: str) -> Contents:
    found = Contents()
    try:
        for page in aws["s3"].get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in page.get("Versions", []):
                live = int(entry["IsLatest"])
                found += Contents(live, 1 - live, 0, entry["Size"], entry["LastModified"] if live else None)
            found += Contents(versions=len(page.get("DeleteMarkers", [])))
        for page in aws["s3"].get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            found += Contents(uploads=len(page.get("Uploads", [])))
    except ClientError as error:
        if not is_code(error, *NO_BUCKET):
            raise
    return found


def is_there(aws: Clients, bucket: str) -> bool:
    """Tell whether a bucket exists."""
    try:
        aws["s3"].head_bucket(Bucket=bucket)
    except ClientError as error:
        if is_code(error, *NO_BUCKET):
            return False
        raise
    return True


def purge(aws: Clients, bucket: str, progress: Callable[[int], None]) -> None:
    """Delete a bucket with all that is in it; `progress` is told of each batch of objects.

    What is deleted stays deleted where this is interrupted; it can be run again.
    Raises `UserError` where S3 refuses to delete some object, naming the first.
    """
    s3 = aws["s3"]
    try:
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if found:
                _delete_batch(s3, bucket, [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found])
                progress(len(found))
        s3.delete_bucket(Bucket=bucket)
    except ClientError as error:
        if not is_code(error, *NO_BUCKET):
            raise UserError(f"the bucket {bucket} cannot be deleted: {error}; run this again") from error


def _delete_batch(s3: Any, bucket: str, keys: list[dict[str, str]]) -> None:
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    for refused in answer.get("Errors", []):
        raise UserError(f"{refused['Key']} of the bucket {bucket} cannot be deleted: {refused['Message']}")


def expire(aws: Clients, bucket: str, day: datetime.date) -> None:
    """Let S3 itself empty a bucket on `day` (UTC); the rule takes the place of the one that was there."""
    rule = {
        "ID": EXPIRY_RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Date": datetime.datetime.combine(day, datetime.time(), datetime.UTC)},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    aws["s3"].put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})


def expires_on(aws: Clients, buckets: Iterable[str]) -> datetime.date | None:
    """Return the day on which S3 empties the buckets, None where nobody told it to."""
    for bucket in buckets:
        try:
            rules = aws["s3"].get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        except ClientError as error:
            if is_code(error, "NoSuchLifecycleConfiguration", *NO_BUCKET):
                continue
            raise
        for rule in rules:
            if rule["ID"] == EXPIRY_RULE:
                date = rule["Expiration"]["Date"]
                found = date if isinstance(date, datetime.datetime) else datetime.datetime.fromisoformat(date)
                return found.date()
    return None
