"""Buckets of tenants in an S3 that moto has in this process."""

from collections.abc import Mapping
from typing import Any

from components.core.names import BUCKET_KINDS, bucket_prefix
from components.core.tags import INSTANCE_TAG, KIND_TAG, RETENTION_TAG, TENANT_TAG
from scripts.tenants.retained_data.stores import ID_LENGTH, Store, tagged_stores

ID = "0a0b0c0d"


def make_bucket(aws: Any, name: str, tags: Mapping[str, str]) -> str:
    """Create a bucket with these tags; return its name."""
    aws["s3"].create_bucket(Bucket=name)
    set_tags(aws, name, tags)
    return name


def set_tags(aws: Any, name: str, tags: Mapping[str, str]) -> None:
    """Replace the tags of a bucket."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    aws["s3"].put_bucket_tagging(Bucket=name, Tagging={"TagSet": pairs})


def tags_of(tenant: str, kind: str) -> dict[str, str]:
    """Return the tags that identify a tenant's bucket."""
    return {INSTANCE_TAG: "showdown", TENANT_TAG: tenant, KIND_TAG: kind}


def make_store(aws: Any, tenant: str = "default", identity: str = ID) -> Store:
    """Create the three buckets of a tenant of `showdown`."""
    for kind in BUCKET_KINDS:
        make_bucket(aws, bucket_prefix("showdown", tenant, kind, ID_LENGTH) + identity, tags_of(tenant, kind))
    stores = tagged_stores(aws, "showdown")
    return next(entry for entry in stores if (entry.tenant, entry.id) == (tenant, identity))


def record_retention(aws: Any, store: Store, days: int) -> None:
    """Let the buckets record their retention, as components/tenant/buckets.py does."""
    for kind in ("metrics", "logs"):
        set_tags(aws, store.buckets[kind], tags_of(store.tenant, kind) | {RETENTION_TAG: f"{days}"})
