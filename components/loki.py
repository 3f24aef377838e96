"""A Loki in one process: a tenant's logs."""

import json
from typing import Any

import pulumi

from components.backend import (
    DATA_FOLDER,
    BackendArgs,
    StoreArgs,
    declare_backend,
    memberlist,
    ready_after,
    ring_store,
    runtime_config,
    server,
)
from components.limits import LOGS_LIMIT_NAMES, LOGS_RETENTION
from components.names import PORTS
from components.section import hours
from components.tenant_config import TenantSettings
from components.versions import LOKI_IMAGE

SCHEMA_START = "2024-01-01"  # before any instance: data of every age is in one schema


def loki_limits(settings: TenantSettings) -> dict[str, Any]:
    """Return what the tenant is allowed, under Loki's names."""
    limits = settings.limits.logs.model_dump(exclude_none=True)
    return limits | {LOGS_RETENTION: f"{hours(settings.retention.logs)}h"}


def loki_config(store: StoreArgs, bucket: str) -> dict[str, Any]:
    """Return Loki's configuration: everything in one process, chunks in S3, the log of writes on the volume."""
    aws, replicas = store.aws, store.settings.pods().replicas
    s3: dict[str, Any] = {"bucketnames": bucket, "region": aws.region}
    if aws.s3_is_elsewhere():
        s3 |= {"endpoint": aws.endpoints["s3"], "s3forcepathstyle": True, "insecure": aws.s3_is_plain()}
    return {
        "auth_enabled": True,
        "target": "all",
        "server": server(PORTS["loki"], 9096),
        "runtime_config": runtime_config(),
        **memberlist("loki", store),
        "common": {
            "path_prefix": DATA_FOLDER,
            "replication_factor": replicas,
            "ring": {"kvstore": ring_store(store)},
            **({"instance_addr": "127.0.0.1"} if replicas == 1 else {}),
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
            "lifecycler": {"min_ready_duration": ready_after(store), "final_sleep": "0s"},
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
        "limits_config": {
            "allow_structured_metadata": True,
            # Of several pods each has its own list of what is to be deleted, and one of them alone deletes: refused, not lost.
            **({"deletion_mode": "disabled"} if replicas > 1 else {}),
        },
        **({"ruler": {"enable_sharding": True}} if replicas > 1 else {}),
        # What a tenant may ask for by /config/tenant/v1/limits, which leads to no other tenant's.
        "tenant_limits_allow_publish": sorted(LOGS_LIMIT_NAMES),
        "analytics": {"reporting_enabled": False},
    }


class Loki(pulumi.ComponentResource):
    """The default logs back end of a tenant."""

    service: str
    running: pulumi.Output[str]

    def __init__(self, name: str, args: StoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("opstrace:loki:Loki", name, None, opts)
        config = args.buckets["logs"].apply(lambda bucket: json.dumps(loki_config(args, bucket), indent=1))
        backend = BackendArgs(
            program="loki",
            image=LOKI_IMAGE,
            component="logs",
            replicas=args.settings.pods().replicas,
            config=config,
            limits=loki_limits(args.settings),
            http_port=PORTS["loki"],
            size=args.settings.pods().logs,
            store=args,
        )
        self.running = declare_backend(name, backend, self)
        self.service = "loki"
        self.register_outputs({"service": self.service})
