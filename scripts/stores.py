"""The data of tenants in S3: what is there, whose it is, how to be rid of it.

A tenant's three buckets have one random end in common, the *id* of their set. A set
that no tenant of the state owns is retained data.
"""

import datetime
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from components.errors import UserError
from components.names import BUCKET_KINDS, HASH_LENGTH, RANDOM_BYTES, RETENTION_TAG, bucket_prefix
from scripts.at_once import for_each
from scripts.aws import Clients, is_code

ID_LENGTH = 2 * RANDOM_BYTES
PURGING, ADOPTING = "opstrace:purging", "opstrace:adopting"
NAME = re.compile(rf".*-({'|'.join(BUCKET_KINDS)})-[0-9a-f]{{{HASH_LENGTH}}}-[0-9a-f]{{{ID_LENGTH}}}")
GONE_SECONDS = 60  # for which a deleted bucket may still be seen
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

    def plain(self) -> dict[str, int]:
        """Return the numbers as `--json` has them."""
        counts = {"objects": self.objects, "versions": self.versions, "uploads": self.uploads}
        return counts | {"storedBytes": self.size}


@dataclass
class Store:
    """The buckets of one tenant, by kind. `created` is the time of the oldest bucket.

    `purging` tells that their deletion has begun: they are not whole any more. `adopting`: that they are being given
    back to the tenant, until an update has made the rest of it.
    """

    tenant: str
    id: str
    created: datetime.datetime
    buckets: dict[str, str] = field(default_factory=dict)
    purging: bool = False
    adopting: bool = False


def in_units(size: int) -> str:
    """Return a number of bytes as people read it, in powers of 1000."""
    number, unit = float(size), 0
    while number >= 1000 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} B" if unit == 0 else f"{number:.1f} {UNITS[unit]}"


def stores(aws: Clients, instance: str, tenant: str | None = None) -> list[Store]:
    """Return the data of all tenants of an instance, or of one, found by the buckets' tags; also of tenants that are gone."""
    prefixes = (
        [bucket_prefix(instance, tenant, kind, ID_LENGTH) for kind in BUCKET_KINDS] if tenant else [f"{instance}-"]
    )
    found: dict[tuple[str, str], Store] = {}
    for prefix in prefixes:
        _add_stores(aws, instance, prefix, found)
    return sorted(found.values(), key=lambda store: (store.tenant, store.created))


def _add_stores(aws: Clients, instance: str, prefix: str, found: dict[tuple[str, str], Store]) -> None:
    """Put what is in the buckets whose names begin so into `found`, by tenant and id."""
    for page in aws["s3"].get_paginator("list_buckets").paginate(Prefix=prefix):
        for bucket in page["Buckets"]:
            name, created = bucket["Name"], bucket["CreationDate"]
            tags = _tags(aws, name) if NAME.fullmatch(name) and name.startswith(f"{instance}-") else {}
            tenant, kind, identity = tags.get("opstrace:tenant", ""), tags.get("opstrace:kind"), name[-ID_LENGTH:]
            # Tags can be copied, to a backup for one: a bucket is ours when it has the name that they give it, too.
            if tags.get("opstrace:instance") != instance or kind not in BUCKET_KINDS:
                continue
            if name != bucket_prefix(instance, tenant, kind, ID_LENGTH) + identity:
                continue
            store = found.setdefault((tenant, identity), Store(tenant, identity, created))
            store.created = min(store.created, created)
            store.buckets[kind] = name
            store.purging = store.purging or PURGING in tags
            store.adopting = store.adopting or ADOPTING in tags


def _tags(aws: Clients, bucket: str) -> dict[str, str]:
    try:
        answer = aws["s3"].get_bucket_tagging(Bucket=bucket)
    except ClientError as error:
        # A bucket of somebody else that only begins like ours is none of our business.
        if is_code(error, "NoSuchTagSet", "AccessDenied", *NO_BUCKET):
            return {}
        raise
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def mark(aws: Clients, bucket: str, name: str) -> None:
    """Give a bucket a tag of ours beside those that it has."""
    tags = [{"Key": key, "Value": value} for key, value in (_tags(aws, bucket) | {name: "true"}).items()]
    aws["s3"].put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})


def contents(aws: Clients, buckets: Iterable[str]) -> Contents:
    """Count what the buckets hold, versions and unfinished uploads too; a bucket that is gone holds nothing."""
    return sum(for_each(lambda bucket: _contents(aws, bucket), buckets), Contents())


def _contents(aws: Clients, bucket: str) -> Contents:
    found = Contents()
    try:
        for page in aws["s3"].get_paginator("list_object_versions").paginate(Bucket=bucket):
            versions = page.get("Versions", [])
            live = [entry for entry in versions if entry["IsLatest"]]
            old = len(versions) - len(live) + len(page.get("DeleteMarkers", []))
            newest = max((entry["LastModified"] for entry in live), default=None)
            found += Contents(len(live), old, 0, sum(entry["Size"] for entry in versions), newest)
        for page in aws["s3"].get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            found += Contents(uploads=len(page.get("Uploads", [])))
    except ClientError as error:
        if not is_code(error, *NO_BUCKET):
            raise
    return found


def is_there(aws: Clients, bucket: str, *, gone: bool = False) -> bool:
    """Tell whether a bucket exists; one that is to be `gone` is given the time in which S3 may still show it."""
    if gone:
        try:
            aws["s3"].get_waiter("bucket_not_exists").wait(
                Bucket=bucket, WaiterConfig={"Delay": 2, "MaxAttempts": GONE_SECONDS // 2}
            )
        except WaiterError:
            return True
        return False
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
        mark(aws, bucket, PURGING)
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


def _rules(aws: Clients, bucket: str) -> list[dict[str, Any]]:
    """Return a bucket's lifecycle rules."""
    try:
        return list(aws["s3"].get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])
    except ClientError as error:
        if is_code(error, "NoSuchLifecycleConfiguration", *NO_BUCKET):
            return []
        raise


def retention_days(aws: Clients, bucket: str) -> int | None:
    """Return for how many days a bucket's data was to be kept when it was last applied, None where nothing says so."""
    days = _tags(aws, bucket).get(RETENTION_TAG, "")
    return int(days) if days.isdecimal() else None


def expire(aws: Clients, bucket: str, day: datetime.date) -> None:
    """Let S3 itself empty a bucket on `day` (UTC); the other rules stay."""
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
    """Return the day on which S3 empties the buckets, None where nobody told it to."""
    for bucket in buckets:
        for rule in _rules(aws, bucket):
            if rule["ID"] == EXPIRY_RULE:
                date = rule["Expiration"]["Date"]
                found = date if isinstance(date, datetime.datetime) else datetime.datetime.fromisoformat(date)
                return found.date()
    return None
