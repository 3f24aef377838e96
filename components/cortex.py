"""A Cortex in one process: a tenant's metrics."""

import json
from typing import Any

import pulumi

from components.backend import DATA_FOLDER, RETENTION, BackendArgs, StoreArgs, declare_backend, server
from components.versions import CORTEX_IMAGE
from components.workload import Aws

HTTP_PORT = 9009


def cortex_config(aws: Aws, metrics_bucket: str, config_bucket: str) -> dict[str, Any]:
    """Return Cortex's configuration: everything in one process, blocks in S3, the log of writes on the volume."""

    def s3(bucket: str) -> dict[str, Any]:
        lookup = "path" if aws.s3_is_elsewhere() else "virtual-hosted"
        place = {"endpoint": aws.s3_host(), "region": aws.region, "bucket_name": bucket}
        return {"backend": "s3", "s3": place | {"insecure": aws.s3_is_plain(), "bucket_lookup_type": lookup}}

    alone = {"kvstore": {"store": "inmemory"}}
    return {
        "target": "all",
        "auth_enabled": True,
        "server": server(HTTP_PORT, 9095),
        "limits": {"compactor_blocks_retention_period": RETENTION},
        "blocks_storage": {
            **s3(metrics_bucket),
            "tsdb": {"dir": f"{DATA_FOLDER}/tsdb", "flush_blocks_on_shutdown": True},
            "bucket_store": {"sync_dir": f"{DATA_FOLDER}/tsdb-sync"},
        },
        "compactor": {"data_dir": f"{DATA_FOLDER}/compactor", "sharding_ring": alone},
        "ingester": {
            "lifecycler": {
                "ring": {**alone, "replication_factor": 1},
                "min_ready_duration": "0s",
                "final_sleep": "0s",
                "join_after": "0s",
            }
        },
        "distributor": {"ring": alone, "shard_by_all_labels": True},
        "querier": {"active_query_tracker_dir": f"{DATA_FOLDER}/active-queries"},
        "store_gateway": {"sharding_ring": alone},
        "ruler": {"rule_path": f"{DATA_FOLDER}/rules"},
        # Another bucket than the blocks': the compactor takes every top-level name there for a tenant.
        "ruler_storage": s3(config_bucket),
        "alertmanager": {"external_url": "http://localhost/alertmanager", "data_dir": f"{DATA_FOLDER}/alertmanager"},
        "alertmanager_storage": s3(config_bucket),
    }


class Cortex(pulumi.ComponentResource):
    """The default metrics back end of a tenant."""

    service: str

    def __init__(self, name: str, args: StoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:cortex:Cortex", name, None, opts)
        config = pulumi.Output.all(args.buckets["metrics"], args.buckets["config"]).apply(
            lambda names: json.dumps(cortex_config(args.aws, *names), indent=1)
        )
        backend = BackendArgs(
            program="cortex",
            image=CORTEX_IMAGE,
            component="metrics",
            config=config,
            http_port=HTTP_PORT,
            store=args,
        )
        declare_backend(name, backend, self)
        self.service = "cortex"
        self.register_outputs({"service": self.service})
