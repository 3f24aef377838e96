"""The Pulumi program of test_plugins.py: one resource of each kind of plugin, varied by configuration."""

import os
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pulumi_random as random

config = pulumi.Config()
url = os.environ["AWS_ENDPOINT_URL"]
endpoints = [aws.ProviderEndpointArgs(s3=os.environ["AWS_ENDPOINT_URL_S3"], secretsmanager=url)]
provider = aws.Provider("aws", region="us-west-2", endpoints=endpoints, s3_use_path_style=True)
opts = pulumi.ResourceOptions(provider=provider)

ending = random.RandomId("ending", byte_length=4)
bucket = aws.s3.Bucket(
    "bucket",
    bucket=pulumi.Output.concat("contract-", ending.hex),
    tags={"colour": config.get("colour") or "red"},
    opts=opts,
)
secret = aws.secretsmanager.Secret("secret", name="contract", recovery_window_in_days=0, opts=opts)
aws.secretsmanager.SecretVersion(
    "version", secret_id=secret.id, secret_string="canary-of-the-test", version_stages=["AWSCURRENT"], opts=opts
)
space = kubernetes.core.v1.Namespace("space", metadata={"name": config.get("space") or "contract"})
kubernetes.core.v1.ConfigMap(
    "map", metadata={"name": "map", "namespace": space.metadata.name}, data={"bucket": bucket.bucket}
)
if config.get("broken"):
    spec: Any = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "broken"}},
        "template": {
            "metadata": {"labels": {"app": "broken"}},
            "spec": {"containers": [{"name": "main", "image": "registry.invalid/none:1"}]},
        },
    }
    kubernetes.apps.v1.Deployment(
        "broken",
        metadata={"name": "broken", "namespace": space.metadata.name},
        spec=spec,
        opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="30s", update="30s")),
    )
pulumi.export("bucket", bucket.bucket)
