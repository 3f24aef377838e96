"""The back ends, by the real programs over the embedded AWS, while S3 refuses to write because of a key."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from components.config.tenant import TenantSettings
from localcloud.settings import REGION
from tests.support.backend import TENANT, Backend
from tests.support.embedded_aws import EmbeddedAws

REFUSED_SECONDS = 15
MOST_SECONDS = 20  # until a chunk is tried again, after up to 10 s; by default up to a minute


@pytest.mark.nightly
def test_loki_ends_soon_after_s3_takes_what_is_in_memory(aws: EmbeddedAws, tmp_path: Path) -> None:
    s3, kms = aws.client("s3"), aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    default: Any = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    s3.create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_encryption(Bucket="logs", ServerSideEncryptionConfiguration={"Rules": rules})
    loki = Backend("loki", tmp_path, aws.settings.s3_endpoint, TenantSettings())
    loki.environment = {name.upper(): value for name, value in aws.keys.items()}
    loki.environment |= {"AWS_REGION": REGION, "SSL_CERT_FILE": str(aws.settings.ca)}
    loki.start()
    streams = [{"stream": {"job": "test"}, "values": [[str(time.time_ns()), "line"]]}]
    headers = {"Content-Type": "application/json", "X-Scope-OrgID": TENANT}
    assert loki.ask("POST", "/loki/api/v1/push", body=json.dumps({"streams": streams}), headers=headers)[0] == 204
    kms.disable_key(KeyId=key)
    loki.terminate()
    time.sleep(REFUSED_SECONDS)
    assert loki.is_running()
    kms.enable_key(KeyId=key)
    enabled = time.monotonic()
    loki.until_ended(60)
    assert time.monotonic() - enabled < MOST_SECONDS
    assert any(entry["Key"].startswith(f"{TENANT}/") for entry in s3.list_objects_v2(Bucket="logs")["Contents"])
