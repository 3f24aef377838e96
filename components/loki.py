"""A Loki in one process: a tenant's logs."""

import json
from typing import Any

import pulumi

from components.backend import DATA_FOLDER, RETENTION, BackendArgs, StoreArgs, declare_backend, server
from components.versions import LOKI_IMAGE
from components.workload import Aws

HTTP_PORT = 3100
SCHEMA_START = "2024-01-01"  # before any instance: data of every age is in one schema


def loki_config(aws: Aws, bucket: str) -> dict[str, Any]:
    """Return Loki's configuration: everything in one process, chunks in S3, the log of writes on the volume."""
    s3: dict[str, Any] = {"bucketnames": bucket, "region": aws.region}
    if aws.s3_is_elsewhere():
        s3 |= {"endpoint": aws.endpoints["s3"], "s3forcepathstyle": True, "insecure": aws.s3_is_plain()}
    return {
        "auth_enabled": True,
        "target": "all",
        "server": server(HTTP_PORT, 9096),
        "common": {
            "path_prefix": DATA_FOLDER,
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            "instance_addr": "127.0.0.1",
            "storage": {"s3": s3},
        },
        "schema_config": {
            "configs": [
                {
                    "from": SCHEMA_START,
                    "store": "tsdb",
                    "object_store": "s3",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "ingester": {
            "lifecycler": {"min_ready_duration": "0s", "final_sleep": "0s"},
            "wal": {
                "enabled": True,
                "dir": f"{DATA_FOLDER}/wal",
                "flush_on_shutdown": True,
                "replay_memory_ceiling": "1GB",
            },
        },
        "compactor": {
            "retention_enabled": True,
            "delete_request_store": "s3",
            "working_directory": f"{DATA_FOLDER}/compactor",
        },
        "limits_config": {"retention_period": RETENTION, "allow_structured_metadata": True},
        "analytics": {"reporting_enabled": False},
    }


class Loki(pulumi.ComponentResource):
    """The default logs back end of a tenant."""

    service: str

    def __init__(self, name: str, args: StoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:loki:Loki", name, None, opts)
        config = args.buckets["logs"].apply(lambda bucket: json.dumps(loki_config(args.aws, bucket), indent=1))
        backend = BackendArgs(
            program="loki",
            image=LOKI_IMAGE,
            component="logs",
            config=config,
            http_port=HTTP_PORT,
            store=args,
        )
        declare_backend(name, backend, self)
        self.service = "loki"
        self.register_outputs({"service": self.service})
