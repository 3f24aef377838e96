"""An S3 server of moto, with the buckets that the configurations of tests' back ends name."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import urllib3

from tests.support.backend import KEYS
from tests.support.polling import eventually
from tests.support.ports import free_port

SYSTEM_BUCKET = "system"  # of the system tenant's blocks, where a test has two tenants
BUCKETS = ("metrics", "config", "logs", SYSTEM_BUCKET)


@contextmanager
def s3_server() -> Iterator[tuple[str, Any]]:
    """Run the server while the block runs; yield its URL, and a client with which the buckets were created.

    It is a process of its own: all servers of one process share their buckets, and a mock of moto there empties them.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    python = [sys.executable, "-P", "-m", "moto.server"]
    command = ["setpriv", "--pdeathsig", "KILL", *python, "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _answers(server, url), pause=0.1)
        yield url, make_buckets(url)
    finally:
        server.kill()
        server.wait()


def _answers(server: subprocess.Popen[bytes], url: str) -> bool:
    assert server.poll() is None, f"moto ended: is another server at {url}?"
    try:
        urllib3.request("GET", url, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return True


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
