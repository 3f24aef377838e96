"""An S3 server of moto in this process, with the buckets that the configurations of tests' back ends name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from tests.support.backend import KEYS

SYSTEM_BUCKET = "system"  # of the system tenant's blocks, where a test has two tenants
BUCKETS = ("metrics", "config", "logs", SYSTEM_BUCKET)


@contextmanager
def s3_server() -> Iterator[tuple[str, Any]]:
    """Run the server while the block runs; yield its URL, and a client with which the buckets were created."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        yield url, make_buckets(url)
    finally:
        server.stop()


def make_buckets(url: str) -> Any:
    """Create the buckets at a server that has none; return the client."""
    region = KEYS["AWS_REGION"]
    client = boto3.client(
        "s3",
        region,
        endpoint_url=url,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    for bucket in BUCKETS:
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    return client


def empty(client: Any, bucket: str) -> None:
    """Delete what is in a bucket, so that tests of another module find nothing of this one."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=entry["Key"])
